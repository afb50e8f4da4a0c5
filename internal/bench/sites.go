package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/saypro/backupd/internal/clock"
)

const (
	bucket    = "backups"
	accessKey = "bench"
	secretKey = "bench-secret-key"
)

// site is a real S3 server on this machine.
type site struct {
	name, address, data string

	process *os.Process
	ended   chan struct{}
}

// startSite starts minio or versitygw on a free port and makes the bucket.
func startSite(ctx context.Context, name, program, dir string) (*site, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("site %s: %w; to build it run: make tools", name, err)
	}
	s := &site{name: name, data: filepath.Join(dir, "data"), ended: make(chan struct{})}
	if err := os.MkdirAll(s.data, 0o750); err != nil {
		return nil, err
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	args, health := []string{"server", s.data, "--address", s.address, "--console-address", "127.0.0.1:0", "--quiet"}, "/minio/health/live"
	if filepath.Base(program) == "versitygw" {
		args, health = []string{"--port", s.address, "--quiet", "--keep-alive", "--health", "/health", "posix"}, "/health"
		// It keeps what it knows about objects in attributes of their files,
		// which not every file system has.
		if syscall.Setxattr(s.data, "user.backupd-bench", []byte("1"), 0) != nil {
			sidecar := filepath.Join(dir, "sidecar")
			if err := os.MkdirAll(sidecar, 0o750); err != nil {
				return nil, err
			}
			args = append(args, "--sidecar", sidecar)
		}
		args = append(args, s.data)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "MINIO_CI_CD=1", "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
		"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey,
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	s.process = cmd.Process
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // killed in the end
	}()
	if err := errors.Join(s.await(ctx, health), s.makeBucket(ctx)); err != nil {
		s.stop()
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	return s, nil
}

func (s *site) endpoint() string { return "http://" + s.address }

// await returns when the server answers.
func (s *site) await(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint()+health, http.NoBody)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close() // only the status is wanted
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return errors.New("the server has ended")
		default:
		}
		if err := clock.System.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *site) makeBucket(ctx context.Context) error {
	client, err := miniogo.New(s.address, &miniogo.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		return err
	}
	return client.MakeBucket(ctx, bucket, miniogo.MakeBucketOptions{Region: "us-east-1"})
}

func (s *site) stop() {
	_ = s.process.Kill() // it may have ended by itself
	<-s.ended
}
