package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// points asks for all recovery points, newest first.
func (w *world) points(ctx context.Context) ([]recoveryPoint, error) {
	var points []recoveryPoint
	_, err := w.operator.ask(ctx, &points, []int{0}, "snapshots")
	return points, err
}

// newest returns the newest recovery point of a function that is durable at
// all the given sites.
func newest(points []recoveryPoint, function string, sites ...string) (recoveryPoint, bool) {
	best, found := recoveryPoint{}, false
	for _, p := range points {
		lacking := slices.ContainsFunc(sites, func(site string) bool { return p.Sites[site].State != "durable" })
		if p.Function == function && !lacking && (!found || p.RecoveryPoint.After(best.RecoveryPoint)) {
			best, found = p, true
		}
	}
	return best, found
}

func (w *world) protect(ctx context.Context) error {
	w.title("Protect: the service decides when to take snapshots, and keeps each at both sites")
	began := w.clock.Now()
	var err error
	if w.service, err = w.operator.serve(w.serviceLog()); err != nil {
		return err
	}
	err = w.until(ctx, 80*time.Second, "a recovery point of every function at both sites", func(ctx context.Context) (bool, string, error) {
		points, err := w.points(ctx)
		if err != nil {
			return false, "", err
		}
		ready := []string{}
		for _, f := range functions {
			if _, ok := newest(points, f, "onsite", "cloud"); ok {
				ready = append(ready, f)
			}
		}
		return len(ready) == len(functions), firstOf(strings.Join(ready, ", "), "none yet"), nil
	})
	if err != nil {
		return err
	}
	w.measured.firstDurable = w.clock.Now().Sub(began)
	w.good("all three functions are safe at both sites, %s after the start of the service", seconds(w.measured.firstDurable))
	if err := w.operator.show(ctx, 0, "snapshots"); err != nil {
		return err
	}
	return w.healthy(ctx)
}

// healthy waits until backupd says that all is as it should be.
func (w *world) healthy(ctx context.Context) error {
	err := w.until(ctx, 45*time.Second, "status to be good", func(ctx context.Context) (bool, string, error) {
		var s status
		exit, err := w.operator.ask(ctx, &s, []int{0, 3}, "status")
		return err == nil && exit == 0 && !s.Degraded && s.Serving, reasons(s), err
	})
	if err != nil {
		return err
	}
	return w.operator.showOnly(ctx, headline, 0, "status")
}

// headline accepts the lines of a status that say how things are, and why.
func headline(line string) bool {
	return line != "" && line[0] != ' ' && line[0] != '\n' || strings.HasPrefix(strings.TrimSpace(line), "!")
}

// reasons are why backupd says that something is not as it should be.
func reasons(s status) string {
	var all []string
	for _, f := range s.Functions {
		for _, reason := range f.Reasons {
			all = append(all, f.Function+": "+reason)
		}
	}
	return strings.Join(all, "; ")
}

func (w *world) loseSite(ctx context.Context) error {
	w.title("One site burns down: an alarm, not an outage")
	w.say("onsite answers no more")
	if err := w.sites["onsite"].Cut(); err != nil {
		return err
	}
	cut := w.clock.Now()
	if err := w.alarm(ctx); err != nil {
		return err
	}
	w.measured.alarm = w.clock.Now().Sub(cut)
	err := w.until(ctx, 60*time.Second, "a snapshot taken without onsite", func(ctx context.Context) (bool, string, error) {
		points, err := w.points(ctx)
		if err != nil {
			return false, "", err
		}
		p, ok := newest(points, "payments", "cloud")
		w.measured.without = p
		return ok && p.RecoveryPoint.After(cut) && p.Sites["onsite"].State != "durable", "", nil
	})
	if err != nil {
		return err
	}
	w.good("alarm %s after the site was lost (exit status 3)", seconds(w.measured.alarm))
	w.good("snapshots go on: payments of %s is durable at cloud, %s at onsite",
		w.measured.without.RecoveryPoint.Format("15:04:05"), w.measured.without.Sites["onsite"].State)
	return w.operator.showOnly(ctx, headline, 3, "status")
}

// alarm waits until backupd status says by its exit status that it is
// degraded, and that it means onsite.
func (w *world) alarm(ctx context.Context) error {
	return w.until(ctx, 60*time.Second, "the alarm", func(ctx context.Context) (bool, string, error) {
		var s status
		exit, err := w.operator.ask(ctx, &s, []int{0, 3}, "status")
		if err != nil {
			return false, "", err
		}
		away := slices.ContainsFunc(s.Sites, func(site siteStatus) bool {
			return site.Site == "onsite" && site.Reachable != nil && !*site.Reachable
		})
		return exit == 3 && s.Degraded && away, reasons(s), nil
	})
}

func (w *world) returnSite(ctx context.Context) error {
	w.title("The site returns and catches up by itself")
	if err := w.sites["onsite"].Return(); err != nil {
		return err
	}
	began := w.clock.Now()
	err := w.until(ctx, 50*time.Second, "onsite to hold what it missed", func(ctx context.Context) (bool, string, error) {
		points, err := w.points(ctx)
		if err != nil {
			return false, "", err
		}
		behind := 0
		for _, p := range points {
			if p.Sites["onsite"].State != "durable" && p.RecoveryPoint.Before(began) {
				behind++
			}
		}
		missed := slices.ContainsFunc(points, func(p recoveryPoint) bool {
			return p.Snapshot == w.measured.without.Snapshot && p.Sites["onsite"].State == "durable"
		})
		return missed && behind == 0, fmt.Sprintf("%d recovery points behind", behind), nil
	})
	if err != nil {
		return err
	}
	w.measured.catchUp = w.clock.Now().Sub(began)
	w.good("onsite holds every recovery point again after %s", seconds(w.measured.catchUp))
	w.say("Is it all there, and intact? (L1: the stored bytes have the right digests)")
	var proofs []proof
	w.command("backupd verify --from onsite --level L1")
	if _, err := w.operator.ask(ctx, &proofs, []int{0}, "verify", "--from", "onsite", "--level", "L1"); err != nil {
		return err
	}
	for _, p := range proofs {
		if !p.Passed || p.Site != "onsite" {
			return fmt.Errorf("the proof of %s from onsite did not pass: %+v", p.Function, p)
		}
		w.good("%s: %s in %.1f s", p.Function, p.Level, p.DurationSeconds)
	}
	if len(proofs) != len(functions) {
		return fmt.Errorf("%d proofs for %d functions", len(proofs), len(functions))
	}
	return w.healthy(ctx)
}
