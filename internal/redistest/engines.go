package redistest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// databases is how many tests can have a part of a server to themselves.
const databases = 4096

// Engines are the servers that the tests of one package share: every test has a
// database of its own, or the cluster, which has one, to itself.
type Engines struct {
	single  *Server
	dir     string
	next    atomic.Int64
	cluster struct {
		sync.Mutex // who has the cluster
		once       sync.Once
		*Cluster
		err error
	}
	watched struct {
		once sync.Once
		*Watched
		err error
	}
}

// Tests are what a TestMain runs.
type Tests interface{ Run() int }

// Beside is m with the servers around it, for goleak.VerifyTestMain. Where no
// redis-server is installed the tests run without, but not in CI.
func (e *Engines) Beside(m Tests, name string) Tests { return beside{m, e, name} }

type beside struct {
	Tests
	engines *Engines
	name    string
}

func (b beside) Run() int {
	err := b.engines.start(b.name)
	switch {
	case errors.Is(err, ErrNotFound) && os.Getenv("CI") == "":
		fmt.Println(b.name + ": redis-server not found, testing on the embedded one only")
		return b.Tests.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, b.name, "tests:", err)
		return 1
	}
	defer b.engines.stop()
	fmt.Println(b.name + ": testing on a real redis-server and on the embedded one")
	return b.Tests.Run()
}

func (e *Engines) start(name string) (err error) {
	if e.dir, err = os.MkdirTemp("", name); err != nil {
		return err
	}
	e.single, err = Start(e.dir, "--databases", fmt.Sprint(databases))
	if err != nil {
		e.single = nil
		_ = os.RemoveAll(e.dir)
	}
	return err
}

func (e *Engines) stop() {
	e.single.Kill()
	_ = os.RemoveAll(e.dir)
	if e.cluster.Cluster != nil {
		e.cluster.Stop()
	}
	if e.watched.Watched != nil {
		e.watched.Stop()
	}
}

// Found reports whether there is a real server at all.
func (e *Engines) Found() bool { return e.single != nil }

// Need skips a test or benchmark where there is no real server.
func (e *Engines) Need(t testing.TB) {
	t.Helper()
	if !e.Found() {
		t.Skip("needs redis-server")
	}
}

func (e *Engines) database(t testing.TB) int {
	t.Helper()
	n := int(e.next.Add(1))
	if n >= databases {
		t.Fatal("one database per test: raise databases")
	}
	return n
}

// Single is an empty database of the real server.
func (e *Engines) Single(t testing.TB) *redis.Client {
	t.Helper()
	e.Need(t)
	return closed(t, e.single.Client(e.database(t)))
}

// FailedOver is an empty database behind a Sentinel that has made the replica
// the primary before. The Sentinel never does so by itself.
func (e *Engines) FailedOver(t testing.TB) *redis.Client {
	t.Helper()
	e.Need(t)
	e.watched.once.Do(func() {
		e.watched.Watched, e.watched.err = StartWatched(int(patience.Milliseconds()), "--databases", fmt.Sprint(databases))
		if e.watched.err == nil {
			e.watched.err = e.watched.FailOver()
		}
	})
	if e.watched.err != nil {
		t.Fatal(e.watched.err)
	}
	return closed(t, e.watched.Client(e.database(t)))
}

// Watched is a primary with its replica and their Sentinel for one test, that may
// do them harm, and a client of whichever is the primary. The Sentinel acts on a
// silence of 2 s: a busy machine makes a server that lives stand still for less.
func (e *Engines) Watched(t testing.TB) (*Watched, *redis.Client) {
	t.Helper()
	e.Need(t)
	w, err := StartWatched(2000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w, closed(t, w.Client(0))
}

// Cluster is the empty cluster, which the test has to itself until it ends.
func (e *Engines) Cluster(t testing.TB) (*Cluster, *redis.ClusterClient) {
	t.Helper()
	e.Need(t)
	e.cluster.Lock()
	t.Cleanup(e.cluster.Unlock)
	e.cluster.once.Do(func() { e.cluster.Cluster, e.cluster.err = StartCluster() })
	if e.cluster.err != nil {
		t.Fatal(e.cluster.err)
	}
	all := closed(t, e.cluster.Client())
	if err := Flush(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return e.cluster.Cluster, all
}

// closed closes a client when the test ends.
func closed[C redis.UniversalClient](t testing.TB, client C) C {
	t.Cleanup(func() { _ = client.Close() })
	return client
}
