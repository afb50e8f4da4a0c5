INSERT INTO accounts.users (id, public_id, email, full_name, phone, country, status, password_hash, preferences, about, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT g, md5('user' || g + {{seed}})::uuid,
    lower(f.n || '.' || l.n) || g || '@' || (ARRAY['mail.example', 'post.example', 'inbox.example', 'shop.example'])[1 + pg_temp.h(g, 3) % 4],
    f.n || ' ' || l.n,
    CASE WHEN pg_temp.h(g, 4) % 10 < 7 THEN '+27' || (600000000 + pg_temp.h(g, 5) % 300000000) END,
    (ARRAY['ZA', 'ZA', 'ZA', 'ZA', 'NG', 'KE', 'GH', 'BW'])[1 + pg_temp.h(g, 6) % 8],
    (ARRAY['active', 'active', 'active', 'active', 'active', 'active', 'active', 'suspended', 'closed'])[1 + pg_temp.h(g, 7) % 9]::accounts.user_status,
    '$2b$12$' || md5('p' || g),
    jsonb_build_object('language', (ARRAY['en', 'af', 'zu', 'xh', 'st'])[1 + pg_temp.h(g, 8) % 5],
        'newsletter', pg_temp.h(g, 9) % 3 = 0, 'theme', (ARRAY['light', 'dark', 'system'])[1 + pg_temp.h(g, 10) % 3],
        'page_size', 20 + 10 * (pg_temp.h(g, 11) % 5)),
    CASE WHEN pg_temp.h(g, 12) % 4 = 0 THEN p.t END,
    pg_temp.at(g, {{users}}), pg_temp.at(g, {{users}}) + (pg_temp.h(g, 13) % 2000000) * interval '1 second'
FROM generate_series(1::bigint, {{users}}) g
JOIN phrase p ON p.i = pg_temp.h(g, 14) & 4095
JOIN LATERAL (SELECT (string_to_array('Thandi Sipho Lerato Kabelo Naledi Themba Zanele Mandla Ayanda Bongani Nomsa Tshepo Palesa Lwazi Nandi Vusi Amina Chidi Ngozi Emeka Wanjiru Otieno Achieng Kamau Kwame Ama Kofi Esi Anna Pieter Marie Johan Elna Willem Sarah David Ruth Daniel Leah Peter', ' '))[1 + pg_temp.h(g, 1) % 40] AS n) f ON true
JOIN LATERAL (SELECT (string_to_array('Dlamini Nkosi Khumalo Mokoena Botha Naidoo Pillay Sithole Mahlangu Mthembu Zulu Ndlovu Radebe Molefe Venter Nel Smit Fourie Okafor Adeyemi Bello Eze Mwangi Njoroge Odhiambo Mutua Mensah Owusu Boateng Asante Jacobs Adams Daniels Petersen Govender Maharaj Mabaso Cele Ngcobo Shabalala', ' '))[1 + pg_temp.h(g, 2) % 40] AS n) l ON true;

INSERT INTO accounts.addresses (id, user_id, kind, line1, line2, city, postcode, country, is_default)
SELECT g, 1 + pg_temp.h(g, 21) % {{users}}, (ARRAY['shipping', 'billing'])[1 + pg_temp.h(g, 22) % 2]::accounts.address_kind,
    (1 + pg_temp.h(g, 23) % 400) || ' ' || initcap(pg_temp.word(pg_temp.h(g, 24))) || ' ' || (ARRAY['Street', 'Road', 'Avenue', 'Close', 'Lane'])[1 + pg_temp.h(g, 25) % 5],
    CASE WHEN pg_temp.h(g, 26) % 3 = 0 THEN 'Unit ' || (1 + pg_temp.h(g, 27) % 90) END,
    (ARRAY['Johannesburg', 'Cape Town', 'Durban', 'Pretoria', 'Gqeberha', 'Bloemfontein', 'Polokwane', 'Mbombela', 'Kimberley', 'East London', 'Soweto', 'Tembisa'])[1 + pg_temp.h(g, 28) % 12],
    lpad((pg_temp.h(g, 29) % 10000)::text, 4, '0'), 'ZA', pg_temp.h(g, 30) % 2 = 0
FROM generate_series(1::bigint, {{addresses}}) g;

INSERT INTO accounts.sessions (id, user_id, ip, user_agent, created_at, expires_at, revoked_at)
SELECT md5('session' || g + {{seed}})::uuid, 1 + pg_temp.h(g, 31) % {{users}},
    '41.0.0.0'::inet + pg_temp.h(g, 32) % 16777216,
    'Mozilla/5.0 (' || (ARRAY['Linux; Android 14', 'Linux; Android 15', 'iPhone; CPU iPhone OS 18_1 like Mac OS X', 'Windows NT 10.0; Win64; x64', 'Macintosh; Intel Mac OS X 10_15_7', 'X11; Linux x86_64'])[1 + pg_temp.h(g, 33) % 6]
        || ') SayPro/' || (3 + pg_temp.h(g, 34) % 4) || '.' || pg_temp.h(g, 35) % 30,
    pg_temp.at(g, {{sessions}}), pg_temp.at(g, {{sessions}}) + interval '30 days',
    CASE WHEN pg_temp.h(g, 36) % 5 = 0 THEN pg_temp.at(g, {{sessions}}) + (pg_temp.h(g, 37) % 86400) * interval '1 second' END
FROM generate_series(1::bigint, {{sessions}}) g;

-- Scans do not compress: 12 KiB each, kept out of line by the server.
INSERT INTO accounts.documents (id, user_id, name, scan)
OVERRIDING SYSTEM VALUE
SELECT g, 1 + pg_temp.h(g, 41) % {{users}}, 'id-' || g || '.jpg',
    (SELECT decode(string_agg(md5(g * 1000 + k || 'scan'), ''), 'hex') FROM generate_series(1, 768) k)
FROM generate_series(1::bigint, {{documents}}) g;
