package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/clock"
)

// Superuser is the name of the superuser of every [Instance].
const Superuser = "postgres"

// instancePort only names the socket file: every instance has a folder of its
// own for its socket and listens nowhere else.
const instancePort = "5432"

const (
	startPatience = 60 * time.Second // for a server to answer
	stopPatience  = 20 * time.Second // for a server to end before it is killed
	pollInterval  = 15 * time.Millisecond
)

// Options say where and how a throwaway server runs.
type Options struct {
	// Dir is the folder of the instance, new or empty; its parent is what
	// [Sweep] is given. When we are root and the unprivileged user
	// that the server runs as cannot reach Dir, the cluster itself is put
	// into the folder for temporary files and Dir only refers to it.
	Dir string
	// Settings are added to and override the settings made here.
	Settings map[string]string
	// Fast gives up durability, which a server that is thrown away does
	// not need.
	Fast bool
	// Clock is the system's when nil.
	Clock clock.Clock
	// Log may be nil.
	Log *slog.Logger
}

// Instance is a throwaway PostgreSQL server made from the programs of this
// machine. It can be reached only through a Unix socket in a folder that only
// its own user and root may enter, and so asks for no password. It dies with
// us; what a crash leaves behind is removed by [Sweep].
type Instance struct {
	place    place
	postgres string   // path of the program
	args     []string // its arguments
	log      *slog.Logger

	mu     sync.Mutex
	server *server // nil when it does not run
}

// server is one run of the program postgres.
type server struct {
	process *os.Process
	ended   chan struct{} // closed when it has ended
	err     error         // how it ended; to be read after ended
}

// Start makes a cluster in opts.Dir, starts a server on it and
// returns when it answers. When that fails, nothing is left behind.
func Start(ctx context.Context, opts Options) (*Instance, error) {
	if opts.Clock == nil {
		opts.Clock = clock.System
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	initdb, err := Binary("initdb")
	if err != nil {
		return nil, fmt.Errorf("start instance: %w", err)
	}
	where, err := claimPlace(opts.Dir, opts.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("start instance in %s: %w", opts.Dir, err)
	}
	i := &Instance{
		place:    where,
		postgres: filepath.Join(filepath.Dir(initdb), "postgres"),
		args:     serverArgs(where, opts),
		log:      opts.Log,
	}
	if err = i.initialise(ctx, initdb); err == nil {
		err = i.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start instance in %s: %w", opts.Dir, err), i.place.remove())
	}
	return i, nil
}

// serverArgs turns the settings into arguments of the program postgres.
func serverArgs(where place, opts Options) []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    instancePort,
		"unix_socket_directories": where.Socket,
		"unix_socket_permissions": "0700",
		"logging_collector":       "off",
		"timezone":                "UTC",
		// Nothing is replicated from here, and COPY into a table made in
		// the same transaction needs no log at all then.
		"wal_level":       "minimal",
		"max_wal_senders": "0",
		"autovacuum":      "off",
		"jit":             "off",
		"max_wal_size":    "2GB",
		// Restores hold many relations locked at once.
		"max_locks_per_transaction":        "256",
		"shared_buffers":                   "128MB",
		"maintenance_work_mem":             "128MB",
		"max_parallel_maintenance_workers": "2",
		// Shared memory in files of the cluster: /dev/shm is tiny in
		// containers and would keep the segments of a killed server.
		"dynamic_shared_memory_type": "mmap",
	}
	if opts.Fast {
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
		settings["synchronous_commit"] = "off"
	}
	maps.Copy(settings, opts.Settings)
	args := []string{"-D", where.Data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// initialise makes the cluster.
func (i *Instance) initialise(ctx context.Context, initdb string) error {
	cmd := exec.CommandContext(ctx, initdb, "-D", i.place.Data, "-U", Superuser, "--auth=trust",
		"--no-sync", "--encoding=UTF8", "--locale=C")
	cmd.Env = serverEnv()
	cmd.Dir = i.place.Base
	cmd.SysProcAttr = childAttr(i.place.user, syscall.SIGKILL)
	var out []byte
	var err error
	onOwnThread(func() { out, err = cmd.CombinedOutput() })
	if ctx.Err() != nil {
		return fmt.Errorf("initdb: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, tail(out))
	}
	return nil
}

// onOwnThread runs f on a thread that lives as long as f: the kernel sends
// the signal of a parent's death when the thread that made the child ends,
// and the threads of Go come and go.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// serverEnv is the environment of initdb and postgres: nothing of ours that
// could change what they do.
func serverEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// Start starts the server again after [Instance.Kill] and returns when it
// answers. ctx bounds only the waiting.
func (i *Instance) Start(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.server != nil {
		return errors.New("start server: it runs already")
	}
	s, err := i.launch()
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	i.server = s
	if err := i.awaitAnswer(ctx, s); err != nil {
		i.end()
		return fmt.Errorf("start server: %w", err)
	}
	return nil
}

// launch starts the program and a goroutine that waits for its end.
func (i *Instance) launch() (*server, error) {
	output, err := os.OpenFile(i.place.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open its log: %w", err)
	}
	defer func() { _ = output.Close() }() // the child has its own copy
	cmd := exec.Command(i.postgres, i.args...)
	cmd.Env = serverEnv()
	cmd.Dir = i.place.Base
	cmd.Stdout, cmd.Stderr = output, output
	// SIGQUIT is the immediate shutdown: the server takes its children along.
	cmd.SysProcAttr = childAttr(i.place.user, syscall.SIGQUIT)

	s := &server{ended: make(chan struct{})}
	started := make(chan error, 1)
	go onOwnThread(func() {
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		s.process = cmd.Process
		started <- nil
		s.err = cmd.Wait()
		close(s.ended)
	})
	if err := <-started; err != nil {
		return nil, err
	}
	return s, nil
}

// awaitAnswer returns when the server accepts connections. It watches real
// time whatever clock we were given, since the server does.
func (i *Instance) awaitAnswer(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience,
		fmt.Errorf("no answer within %s", startPatience))
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, i.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended at once: %w: %s", endOf(s.err), i.logTail())
		default:
		}
		if clock.System.Sleep(ctx, pollInterval) != nil {
			return fmt.Errorf("%w: %w: %s", context.Cause(ctx), err, i.logTail())
		}
	}
}

// endOf gives a name to an end with status 0.
func endOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// URL returns the address of a database of the instance, as superuser.
func (i *Instance) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(Superuser),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {i.place.Socket}, "port": {instancePort}}.Encode(),
	}
	return u.String()
}

// Kill ends the server at once and without a checkpoint, as a crash would;
// the cluster stays and [Instance.Start] runs its recovery.
func (i *Instance) Kill() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end()
}

// Stop ends the server and removes everything that belongs to the instance,
// also when ctx has ended: a cancelled drill must clean up too. It takes
// seconds at most. A second call does nothing.
func (i *Instance) Stop(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end()
	if err := i.place.remove(); err != nil {
		return fmt.Errorf("remove instance %s: %w", i.place.Dir, err)
	}
	return nil
}

// end ends the server, if it runs, and waits until it has. SIGQUIT is the
// immediate shutdown: it writes no checkpoint, since whoever calls this either
// wants a crash or removes the files next. The caller holds mu.
func (i *Instance) end() {
	s := i.server
	if s == nil {
		return
	}
	i.server = nil
	if err := s.process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		i.log.Warn("cannot signal throwaway server", "dir", i.place.Dir, "error", err)
	}
	patience, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	select {
	case <-s.ended:
		return
	case <-patience.Done():
	}
	i.log.Warn("throwaway server does not end; killing it", "dir", i.place.Dir)
	if err := s.process.Kill(); err == nil {
		<-s.ended
	}
}

// logTail returns the end of what the server has said.
func (i *Instance) logTail() string {
	text, err := os.ReadFile(i.place.logFile())
	if err != nil {
		return err.Error()
	}
	return tail(text)
}
