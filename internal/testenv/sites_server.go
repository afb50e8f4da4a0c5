package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	miniogo "github.com/minio/minio-go/v7"

	"github.com/saypro/backupd/internal/clock"
)

// Bin returns the path of a program that `make tools` builds.
func Bin(t testing.TB, name string) string {
	t.Helper()
	path, err := findBin(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func findBin(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, ".cache", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing; to build it run: make tools", path)
	}
	return path, nil
}

// siteServer is the process behind a site.
type siteServer struct {
	site    *Site
	dir     string
	address string // host:port

	mu       sync.Mutex
	process  *os.Process
	done     chan struct{} // closed when the process has ended
	output   bytes.Buffer
	lifeline *os.File // its other end is the guard's
}

// startAnywhere starts the server on a free port. Another process can take a
// port between looking and listening; then another one is tried.
func (s *siteServer) startAnywhere() error {
	var err error
	for range 5 {
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		s.address = l.Addr().String()
		_ = l.Close() // only its port was wanted
		s.site.Endpoint = "http://" + s.address
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

func (s *siteServer) command() (*exec.Cmd, error) {
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o750); err != nil {
		return nil, err
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir}
	program, args := "minio", []string{
		"server", data, "--address", s.address, "--console-address", "127.0.0.1:0",
		"--certs-dir", filepath.Join(s.dir, "certs"), "--quiet",
	}
	if s.site.Kind == "minio" {
		env = append(env, "MINIO_ROOT_USER="+s.site.AccessKey, "MINIO_ROOT_PASSWORD="+s.site.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1")
	} else {
		program, args = "versitygw", []string{"--port", s.address, "--quiet", "--keep-alive"}
		env = append(env, "ROOT_ACCESS_KEY="+s.site.AccessKey, "ROOT_SECRET_KEY="+s.site.SecretKey)
		// Buckets with object lock keep old versions, as everywhere.
		versions, sidecar := filepath.Join(s.dir, "versions"), filepath.Join(s.dir, "sidecar")
		for _, folder := range []string{versions, sidecar} {
			if err := os.MkdirAll(folder, 0o750); err != nil {
				return nil, err
			}
		}
		args = append(args, "posix", "--versioning-dir", versions)
		if !hasXattr(data) {
			args = append(args, "--sidecar", sidecar)
		}
		args = append(args, data)
	}
	path, err := findBin(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = env, s.dir
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	// A signal from the terminal is for the test, which ends the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd, nil
}

// hasXattr tells whether files there can have attributes, which is where
// versitygw keeps what it knows about objects.
func hasXattr(dir string) bool {
	return syscall.Setxattr(dir, "user.backupd-test", []byte("1"), 0) == nil
}

// start runs the server and returns when it answers.
func (s *siteServer) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.output.Reset()
	cmd, err := s.command()
	if err != nil {
		return err
	}
	started, done := make(chan error), make(chan struct{})
	go func() {
		// Pdeathsig is about the thread that started the process, so that
		// thread has to live as long as the process.
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed in the end
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.done = cmd.Process, done
	if err := s.await(); err != nil {
		s.end()
		return err
	}
	return nil
}

// await waits until the server answers a request for an object as it will from
// then on: MinIO says that it is alive, and lists buckets, before it does.
func (s *siteServer) await() error {
	client, err := s.site.client()
	if err != nil {
		return err
	}
	for deadline := clock.System.Now().Add(time.Minute); clock.System.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.done:
			return fmt.Errorf("the server of site %s ended: %s", s.site.Name, &s.output)
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err = client.StatObject(ctx, s.site.Bucket, "no-such-object", miniogo.StatObjectOptions{})
		cancel()
		if miniogo.ToErrorResponse(err).StatusCode == http.StatusNotFound {
			return nil
		}
	}
	return fmt.Errorf("the server of site %s does not answer: %w", s.site.Name, err)
}

func (s *siteServer) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *siteServer) end() {
	if s.process == nil {
		return
	}
	_ = s.process.Kill() // it may have ended by itself
	<-s.done
	s.process = nil
}

// remove ends the server for good and removes its files.
func (s *siteServer) remove() {
	s.kill()
	_ = os.RemoveAll(s.dir) // what is left over the guard removes
	_ = s.lifeline.Close()  // tells the guard
}

// guard starts a small process that removes the files of the server when the
// test process has ended: the testing package has no hook that runs after the
// last test, and none at all when the process is killed.
func (s *siteServer) guard() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }()
	s.lifeline = write
	cmd := exec.Command("/bin/sh", "-c", `
		cat >/dev/null
		for n in 1 2 3 4 5 6 7 8 9 10; do
			rm -rf -- "$1" && [ ! -e "$1" ] && exit
			sleep 0.2
		done`, "remove-test-site", s.dir)
	cmd.Stdin, cmd.Dir = read, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // of no interest, but a zombie otherwise
	return nil
}
