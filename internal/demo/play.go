package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/demo/s3site"
	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/pgserver"
)

// step is one chapter, with the time it may take.
type step struct {
	patience time.Duration
	play     func(context.Context) error
}

// play tells the story from beginning to end.
func (w *world) play(ctx context.Context) error {
	w.write(w.style("1", "backupd: SayPro, an online marketplace, loses a site and a table, and gets both back"))
	if err := w.prepare(ctx); err != nil {
		return err
	}
	w.write("Everything lives in " + w.dir + " and on this machine only.")
	for _, s := range []step{
		{90 * time.Second, w.makeMarket},
		{10 * time.Second, w.makeSites},
		{30 * time.Second, w.initialise},
		{30 * time.Second, w.check},
		{90 * time.Second, w.protect},
		{90 * time.Second, w.loseSite},
		{60 * time.Second, w.returnSite},
		{60 * time.Second, w.makeMistake},
		{90 * time.Second, w.restore},
		{90 * time.Second, w.prove},
		{30 * time.Second, w.noticed},
		{60 * time.Second, w.audit},
		{30 * time.Second, w.finish},
	} {
		ctx, cancel := context.WithTimeoutCause(ctx, s.patience, fmt.Errorf("the step took more than %s", s.patience))
		err := s.play(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	return w.summary()
}

func (w *world) makeMarket(ctx context.Context) error {
	w.title("A marketplace with customers in it")
	began := w.clock.Now()
	server, err := pgserver.Start(ctx, pgserver.Options{
		Dir: filepath.Join(w.dir, "postgres"), Fast: true, Clock: w.clock,
		Settings: map[string]string{"autovacuum": "on", "max_connections": "60"},
	})
	if err != nil {
		return err
	}
	w.server = server
	version, err := execute(ctx, server.URL("postgres"), "CREATE DATABASE "+database, "SHOW server_version")
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(version, " ")
	w.say("PostgreSQL %s, started for this and gone afterwards", number)
	if err := market.Seed(ctx, server.URL(database), market.Options{Scale: w.scale}); err != nil {
		return err
	}
	bytes, rows, err := market.Size(ctx, server.URL(database))
	if err != nil {
		return err
	}
	w.say("accounts, payments, catalog: %s in %.1f million rows, made in %s", size(bytes), float64(rows)/1e6, seconds(w.clock.Now().Sub(began)))
	// The customers live as long as the demonstration, not as this step.
	if w.traffic, err = market.Live(context.WithoutCancel(ctx), server.URL(database), w.rate, 1); err != nil {
		return err
	}
	w.good("customers are at work: %.0f purchases, refunds, logins and stock moves a second from now on", w.rate)
	return nil
}

func (w *world) makeSites(context.Context) error {
	w.title("Two sites")
	w.sites = map[string]*s3site.Site{}
	for _, name := range []string{"onsite", "cloud"} {
		site, err := s3site.Start(s3site.Options{Dir: filepath.Join(w.dir, "site-"+name), Bucket: bucket, AccessKey: "demo"})
		if err != nil {
			return err
		}
		w.sites[name] = site
	}
	w.say("onsite  %s  spoken to with MinIO's client", w.sites["onsite"].Endpoint())
	w.say("cloud   %s  spoken to with Amazon's client", w.sites["cloud"].Endpoint())
	env, err := w.environment()
	w.operator.env = env
	return err
}

func (w *world) initialise(ctx context.Context) error {
	w.title("Make the keys and the repository, once")
	w.say("The configuration is %s; it gives objectives, not schedules:", w.config)
	w.say("how much data may be lost (RPO), how long it may be down (RTO).")
	w.command("export BACKUPD_CONFIG=" + w.config)
	return w.operator.show(ctx, 0, "init")
}

func (w *world) check(ctx context.Context) error {
	w.title("Is everything there that is needed?")
	return w.operator.show(ctx, 0, "check")
}

// execute runs statements on a connection of their own and returns the first
// value of the last one, if it gives any.
func execute(ctx context.Context, url string, statements ...string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is lost with it
	value := ""
	for _, statement := range statements {
		results, err := conn.PgConn().Exec(ctx, statement).ReadAll()
		if err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
		value = ""
		if last := results[len(results)-1]; len(last.Rows) > 0 {
			value = string(last.Rows[0][0])
		}
	}
	return value, nil
}
