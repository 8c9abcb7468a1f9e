package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// task is something that runs until its context ends.
type task func(context.Context) error

// ending is the cause with which what a process runs is ended in good order.
type ending struct{ by time.Time }

func (ending) Error() string { return "the process ends" }
func (ending) Unwrap() error { return context.Canceled }

// inOrder is ctx, but when it ends its cause says by when all has to be over.
func inOrder(ctx context.Context, drain time.Duration) (ordered context.Context, release func()) {
	ordered, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { end(ending{time.Now().Add(drain)}) })
	return ordered, func() { stop(); end(nil) }
}

// runStages runs all tasks side by side. When ctx ends, or a task fails, the
// stages are ended one after another, each waited for before the next: those
// who work first, then those they need. They end with the cause of ctx.
func runStages(ctx context.Context, stages ...[]task) error {
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	type stage struct {
		stop context.CancelCauseFunc
		wait func() error
	}
	running := make([]stage, len(stages))
	for i, tasks := range stages {
		stageCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
		defer stop(nil)
		group, groupCtx := errgroup.WithContext(stageCtx)
		for _, t := range tasks {
			group.Go(func() error {
				err := t(groupCtx)
				if err != nil {
					fail(err)
				}
				return err
			})
		}
		running[i] = stage{stop, group.Wait}
	}
	<-failed.Done()
	var errs []error
	for _, s := range running {
		s.stop(context.Cause(failed))
		if err := s.wait(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// listen opens the address at once, so that a port in use is told at the start
// and not by a goroutine later.
func listen(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: cannot listen on %s: %w (choose another address, or :0 for any free port)", setting, addr, err)
	}
	return l, nil
}

// maxConnections bounds the connections of one address: each costs a goroutine
// and some ten kilobytes. Further clients wait in the system's queue until one
// leaves, or is dropped for being slow.
const maxConnections = 4096

// How long requests under way may take to finish: what is left of the drain
// time-out, but a moment even if that is over.
const (
	leastGrace = time.Second
	someGrace  = 5 * time.Second // where nothing says by when
)

func grace(ctx context.Context) time.Duration {
	var e ending
	if errors.As(context.Cause(ctx), &e) {
		return max(time.Until(e.by), leastGrace)
	}
	return someGrace
}

// serve answers HTTP on l until ctx ends, then lets the requests under way
// finish for a while. A client that sends or takes nothing loses its
// connection; handlers that talk for longer move the deadlines on themselves.
func serve(l net.Listener, handler http.Handler) task {
	return func(ctx context.Context) error {
		server := &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       60 * time.Second,
			WriteTimeout:      2 * time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
		}
		l := netutil.LimitListener(l, maxConnections)
		done := make(chan error, 1)
		go func() { done <- server.Serve(l) }()
		select {
		case err := <-done:
			return fmt.Errorf("server on %s: %w", l.Addr(), err)
		case <-ctx.Done():
		}
		finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace(ctx))
		defer cancel()
		if err := server.Shutdown(finishing); err != nil {
			server.Close()
		}
		<-done
		return nil
	}
}

func urlOf(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "http://" + l.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
