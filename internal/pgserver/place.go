package pgserver

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// markerName is the file that makes a folder the folder of an instance.
	markerName = "backupd-instance.json"
	// newSuffix ends the name of a marker that is being written.
	newSuffix = ".new"
	// awayPrefix begins the names of folders that belong to an instance but
	// lie outside its own: only such are ever removed on a marker's word.
	awayPrefix = "backupd-pg-"
	// socketDirMax is the longest path of a folder that a socket can be
	// made in: the path of a socket has at most 107 bytes.
	socketDirMax = 107 - len("/.s.PGSQL.") - len(instancePort)
)

// place is where an instance lives. Its exported fields are the marker.
type place struct {
	Dir    string    `json:"dir"`    // what the caller asked for
	Base   string    `json:"base"`   // Dir, or a folder elsewhere
	Data   string    `json:"data"`   // the cluster, below Base
	Socket string    `json:"socket"` // below Base, or a folder elsewhere
	Owner  owner     `json:"owner"`
	Begun  time.Time `json:"begun"`

	user *syscall.Credential // whom the server runs as; nil: as we do
}

// owner identifies the process that an instance belongs to.
type owner struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

// claimPlace makes the folders of an instance. The marker comes first, so
// that a crash at any moment leaves nothing that a sweep cannot find.
func claimPlace(dir string, now time.Time) (place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	p := place{Dir: dir, Begun: now.UTC()}
	if p.user, err = serverUser(); err != nil {
		return place{}, err
	}
	p.Owner.PID = os.Getpid()
	if p.Owner.Start, err = processStart(p.Owner.PID); err != nil {
		return place{}, err
	}
	if err := emptyFolder(dir); err != nil {
		return place{}, err
	}
	if err := p.choose(); err != nil {
		return place{}, err
	}
	if err := p.mark(); err != nil {
		return place{}, errors.Join(err, p.remove())
	}
	if err := p.make(); err != nil {
		return place{}, errors.Join(err, p.remove())
	}
	return p, nil
}

// choose fixes the paths.
func (p *place) choose() error {
	p.Base = p.Dir
	if p.user != nil && !reachable(p.Dir, p.user) {
		away, err := awayFolder(largeTempDir())
		if err != nil {
			return err
		}
		p.Base = away
	}
	p.Data = filepath.Join(p.Base, "data")
	p.Socket = filepath.Join(p.Base, "socket")
	if len(p.Socket) > socketDirMax {
		away, err := awayFolder(os.TempDir())
		if err != nil {
			return err
		}
		p.Socket = away
	}
	return nil
}

// make creates the folders outside Dir and those of the server.
func (p *place) make() error {
	if p.Base != p.Dir {
		if err := os.Mkdir(p.Base, 0o700); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o700)
	if p.user != nil {
		mode = 0o711 // the server's user must pass; what lies inside is closed
	}
	for _, dir := range []string{p.Dir, p.Base} {
		if err := os.Chmod(dir, mode); err != nil {
			return err
		}
	}
	for _, dir := range []string{p.Data, p.Socket} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if p.user == nil {
			continue
		}
		if err := os.Chown(dir, int(p.user.Uid), int(p.user.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// mark writes the marker, whole or not at all, also when the power goes: a
// folder whose marker cannot be read is nobody's to remove, and neither are
// the folders elsewhere that only the marker names.
func (p *place) mark() error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	final := filepath.Join(p.Dir, markerName)
	if err := writeSynced(final+newSuffix, text); err != nil {
		return err
	}
	if err := os.Rename(final+newSuffix, final); err != nil {
		return err
	}
	d, err := os.Open(p.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (p *place) logFile() string { return filepath.Join(p.Dir, "server.log") }

// remove deletes all folders of the instance, the one with the marker last.
func (p *place) remove() error {
	for _, dir := range []string{p.Socket, p.Base} {
		if !strings.HasPrefix(filepath.Base(dir), awayPrefix) {
			continue // inside of Base or Dir
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.Dir)
}

// check refuses the paths of a marker that [place.choose] cannot have chosen.
func (p *place) check(dir string) error {
	away := func(path string) bool {
		return filepath.IsAbs(path) && strings.HasPrefix(filepath.Base(path), awayPrefix)
	}
	switch {
	case p.Dir != dir:
		return fmt.Errorf("its marker is of another folder, %s; remove it by hand", p.Dir)
	case p.Base != p.Dir && !away(p.Base), p.Data != filepath.Join(p.Base, "data"),
		p.Socket != filepath.Join(p.Base, "socket") && !away(p.Socket):
		return errors.New("its marker names folders that belong to no instance; remove it by hand")
	}
	return nil
}

// serverUser returns whom to run a server as: PostgreSQL refuses to run as
// root, so that root needs somebody else.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "backupd", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root and this machine has no user postgres, backupd or nobody; " +
		"run backupd as an unprivileged user or add one of these")
}

// reachable tells whether user may pass through every folder above dir.
func reachable(dir string, user *syscall.Credential) bool {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return false
		}
		pass := info.Mode().Perm()&0o001 != 0
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == user.Uid {
			pass = info.Mode().Perm()&0o100 != 0
		}
		if !pass {
			return false
		}
		if parent == filepath.Dir(parent) {
			return true
		}
	}
}

// emptyFolder makes dir or checks that nothing is in it.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder is not empty: it holds %s", entries[0].Name())
	}
	return nil
}

// awayFolder returns an unused name below parent; the folder is made later,
// once the marker names it.
func awayFolder(parent string) (string, error) {
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	return filepath.Join(parent, awayPrefix+hex.EncodeToString(random[:])), nil
}

// largeTempDir is where a whole cluster may go: /tmp often is memory, and
// /var/tmp never.
func largeTempDir() string {
	if os.Getenv("TMPDIR") == "" {
		if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() {
			return "/var/tmp"
		}
	}
	return os.TempDir()
}
