package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
)

func TestSocketIsOpenToItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(dataDir(t), "data")
	l, err := server.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for path, want := range map[string]os.FileMode{
		dir:                    0o700 | os.ModeDir,
		server.SocketPath(dir): 0o600 | os.ModeSocket,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("making the socket left something behind: %v", entries)
	}
}

func TestSecondServiceIsRefusedAndTheFirstServesOn(t *testing.T) {
	s := serve(t, fake{status: func(context.Context) (engine.Status, error) { return engine.Status{Serving: true}, nil }})
	if _, err := server.Listen(t.Context(), s.dir); !errors.Is(err, server.ErrServed) {
		t.Errorf("a second Listen says %v", err)
	}
	if status, err := dial(t, s.dir).Status(t.Context()); err != nil || !status.Serving {
		t.Errorf("the first service answers %+v, %v", status, err)
	}
}

func TestSocketOfADeadServiceIsReplaced(t *testing.T) {
	dir := dataDir(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: server.SocketPath(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as after SIGKILL
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Dial(t.Context(), dir); !errors.Is(err, server.ErrNoService) {
		t.Errorf("Dial takes a dead socket for %v", err)
	}
	l, err := server.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{dir: dir, done: make(chan error, 1)}
	s.start(t, l, fake{status: func(context.Context) (engine.Status, error) { return engine.Status{Serving: true}, nil }})
	if _, err := dial(t, dir).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClosingLeavesTheSocketOfAnotherAlone(t *testing.T) {
	dir := dataDir(t)
	first, err := server.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(server.SocketPath(dir)); err != nil {
		t.Fatal(err)
	}
	second, err := server.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(server.SocketPath(dir)); err != nil {
		t.Errorf("the first service took the socket of the second with it: %v", err)
	}
}

func TestPathTooLongForASocketIsExplained(t *testing.T) {
	_, err := server.Listen(t.Context(), filepath.Join(dataDir(t), strings.Repeat("x", 120)))
	if err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("Listen says %v", err)
	}
}

func TestNoServiceIsNotAFailureToAnswer(t *testing.T) {
	for name, dir := range map[string]string{"empty directory": dataDir(t), "no directory": "/nonexistent/backupd"} {
		if _, err := server.Dial(t.Context(), dir); !errors.Is(err, server.ErrNoService) {
			t.Errorf("%s: Dial says %v", name, err)
		}
	}
}

// rawServer answers every connection with a bare function of the test.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	dir := dataDir(t)
	l, err := net.Listen("unix", server.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return dir
}

func TestServiceThatDiesWhileAnsweringIsAFailure(t *testing.T) {
	const pong = `{"result":{"pid":1,"version":"v1"}}`
	dir := rawServer(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if req.URL.Path == "/v1/ping" {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(pong), pong)
				continue
			}
			_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n"+`{"event":{"phase":"copy"}}`+"\n\r\n")
			return
		}
	})
	events := 0
	results, err := dial(t, dir).Snapshot(t.Context(), nil, func(progress.Event) { events++ })
	if err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("the client says %v", err)
	}
	if results != nil || events != 1 {
		t.Errorf("got %d events and %v", events, results)
	}
}

func TestServiceThatHangsIsToldFromNone(t *testing.T) {
	release := make(chan struct{})
	dir := rawServer(t, func(net.Conn) { <-release })
	defer close(release)
	_, err := server.DialWithin(t.Context(), dir, 50*time.Millisecond)
	if err == nil || errors.Is(err, server.ErrNoService) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("Dial says %v", err)
	}
}

// post sends a request past the client, as another program might.
func post(t *testing.T, dir, path, body string) string {
	t.Helper()
	conn, err := net.Dial("unix", server.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	var answer strings.Builder
	if _, err := bufio.NewReader(conn).WriteTo(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.String()
}

func TestSenselessRequestsAreWrongUsage(t *testing.T) {
	s := serve(t, fake{}) // an operation that ran would panic
	for path, body := range map[string]string{
		"/v1/restore":  `{"at":"yesterday"}`,
		"/v1/verify":   `{`,
		"/v1/plan":     ``,
		"/v1/snapshot": strings.Repeat(" ", 4<<20) + "{}",
		"/v2/anything": `{}`,
	} {
		if answer := post(t, s.dir, path, body); !strings.Contains(answer, `"kind":"usage"`) {
			t.Errorf("%s is answered with %s", path, answer)
		}
	}
}

func TestClientThatDoesNotReadHoldsNothingUp(t *testing.T) {
	ended := make(chan struct{})
	s := serve(t, fake{snapshot: func(_ context.Context, _ []string, report progress.Reporter) ([]snapshot.Result, error) {
		defer close(ended)
		long := strings.Repeat("x", 4096)
		for range 20_000 { // 80 MB: no buffer of a socket takes that
			report(progress.Event{Phase: "copy", Message: long})
		}
		return nil, nil
	}})
	conn, err := net.Dial("unix", server.SocketPath(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "POST /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the operation waits for a client that does not read")
	}
}
