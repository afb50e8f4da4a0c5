package postgres

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// clientEnvironment returns the environment in which the client programs of
// PostgreSQL reach the database at address. The password and everything else
// travel in it and never in the arguments, which other users can see.
func clientEnvironment(address string, application string) ([]string, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		// The error may quote the address, with the password in it.
		return nil, fmt.Errorf("the url is not an address of PostgreSQL")
	}
	set := map[string]string{}
	for name, value := range connectionParameters(address) {
		if variable, ok := libpqVariables[name]; ok {
			set[variable] = value
		}
	}
	set["PGDATABASE"], set["PGUSER"] = config.Database, config.User
	if _, several := set["PGHOST"]; !several || !strings.Contains(set["PGHOST"], ",") {
		set["PGHOST"], set["PGPORT"] = config.Host, strconv.Itoa(int(config.Port))
	}
	if config.Password != "" {
		set["PGPASSWORD"] = config.Password
	}
	set["PGAPPNAME"] = application
	return withEnvironment(os.Environ(), set), nil
}

// withEnvironment adds variables to an environment in which they replace those
// of the same name. Messages come in English, to be understood here.
func withEnvironment(environ []string, set map[string]string) []string {
	set["LC_MESSAGES"] = "C"
	var env []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if _, replaced := set[name]; !replaced && name != "LC_ALL" && name != "PGOPTIONS" {
			env = append(env, entry)
		}
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	return env
}

// libpqVariables are the parameters of an address that libpq also takes from
// the environment.
var libpqVariables = map[string]string{
	"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "passfile": "PGPASSFILE", "service": "PGSERVICE",
	"servicefile": "PGSERVICEFILE", "sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
	"sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL", "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION",
	"ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION", "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
	"channel_binding": "PGCHANNELBINDING", "connect_timeout": "PGCONNECT_TIMEOUT", "gssencmode": "PGGSSENCMODE",
	"krbsrvname": "PGKRBSRVNAME", "target_session_attrs": "PGTARGETSESSIONATTRS", "require_auth": "PGREQUIREAUTH",
	"requirepeer": "PGREQUIREPEER",
}

// keywordValue is one parameter of an address in keyword form.
var keywordValue = regexp.MustCompile(`(\w+)\s*=\s*('(?:\\.|[^'\\])*'|(?:\\.|[^\s'\\])*)`)

// connectionParameters returns the parameters of an address in either form.
func connectionParameters(address string) map[string]string {
	params := map[string]string{}
	if u, err := url.Parse(address); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		var hosts, ports []string
		for _, host := range strings.Split(u.Host, ",") {
			name, port := splitPort(host)
			hosts, ports = append(hosts, name), append(ports, port)
		}
		if len(hosts) > 1 {
			params["host"], params["port"] = strings.Join(hosts, ","), strings.Join(ports, ",")
		}
		for name, values := range u.Query() {
			params[name] = values[0]
		}
		return params
	}
	for _, m := range keywordValue.FindAllStringSubmatch(address, -1) {
		value := strings.TrimSuffix(strings.TrimPrefix(m[2], "'"), "'")
		params[m[1]] = regexp.MustCompile(`\\(.)`).ReplaceAllString(value, "$1")
	}
	return params
}

// splitPort splits host:port where the host may be an IPv6 address in brackets.
func splitPort(host string) (name, port string) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return strings.Trim(host, "[]"), "5432"
	}
	return strings.Trim(host[:at], "[]"), host[at+1:]
}
