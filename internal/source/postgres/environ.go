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

// escaped is a character behind a backslash in such a parameter.
var escaped = regexp.MustCompile(`\\(.)`)

// connectionParameters returns the parameters of an address in either form,
// hosts and ports of an URL only when there are several.
func connectionParameters(address string) map[string]string {
	params := map[string]string{}
	if _, rest, ok := strings.Cut(address, "://"); ok && strings.HasPrefix(address, "postgres") {
		urlParameters(rest, params)
		return params
	}
	for _, m := range keywordValue.FindAllStringSubmatch(address, -1) {
		value := strings.TrimSuffix(strings.TrimPrefix(m[2], "'"), "'")
		params[m[1]] = escaped.ReplaceAllString(value, "$1")
	}
	return params
}

// urlParameters reads what follows the scheme of an URL, which net/url does not
// read when it names several hosts.
func urlParameters(rest string, params map[string]string) {
	rest, query, _ := strings.Cut(rest, "?")
	authority, _, _ := strings.Cut(rest, "/")
	if hosts := strings.Split(authority[strings.LastIndexByte(authority, '@')+1:], ","); len(hosts) > 1 {
		var names, ports []string
		for _, host := range hosts {
			name, port := splitPort(host)
			names, ports = append(names, name), append(ports, port)
		}
		params["host"], params["port"] = strings.Join(names, ","), strings.Join(ports, ",")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return // pgx has refused such an address before
	}
	for name, list := range values {
		params[name] = list[0]
	}
}

// splitPort splits host:port where the host may be an IPv6 address in brackets.
func splitPort(host string) (name, port string) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return strings.Trim(host, "[]"), "5432"
	}
	return strings.Trim(host[:at], "[]"), host[at+1:]
}
