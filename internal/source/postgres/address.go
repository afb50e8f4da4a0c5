package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Address says where a database is, without user and password.
type Address struct {
	Host     string // name, number, or folder of a Unix socket
	Port     uint16
	Database string
}

// ParseAddress takes the address of a database apart. It must name the database
// itself: what a client chooses instead, the user's name, is no place to
// restore to. The error repeats nothing of the address.
func ParseAddress(address string) (Address, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		// The error may quote the address, with the password in it.
		return Address{}, errors.New("it is not an address of PostgreSQL; write it as postgres://user@host:5432/database")
	}
	if config.Database == "" || !namesDatabase(address) {
		return Address{}, errors.New("it names no database; write it as postgres://user@host:5432/database")
	}
	return Address{Host: config.Host, Port: config.Port, Database: config.Database}, nil
}

// namesDatabase reports whether an address in the form of a URL names its
// database. The other form is taken as it is.
func namesDatabase(address string) bool {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && (strings.Trim(u.Path, "/") != "" || u.Query().Has("dbname") || u.Query().Has("database"))
}

// String names the database for people.
func (a Address) String() string {
	switch {
	case strings.HasPrefix(a.Host, "/"):
		return fmt.Sprintf("%s at %s", a.Database, a.Host)
	case strings.Contains(a.Host, ":"):
		return fmt.Sprintf("%s at [%s]:%d", a.Database, a.Host, a.Port)
	}
	return fmt.Sprintf("%s at %s:%d", a.Database, a.Host, a.Port)
}
