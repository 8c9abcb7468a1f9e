package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the Sentinel of a [Watched] calls the primary.
const MasterName = "gate"

// failoverTimeout is when a Sentinel gives a failover up. It tries again after
// twice as long.
const failoverTimeout = 5 * time.Second

// Watched is a primary and its replica under a Sentinel.
type Watched struct {
	Primary, Replica, Sentinel *Server // as they began
	dir                        string
}

// StartWatched returns once the replica has all of the primary. The Sentinel
// puts the replica in the place of a primary that is silent for as many
// milliseconds as given.
func StartWatched(silence int, args ...string) (*Watched, error) {
	dir, err := os.MkdirTemp("", "watched")
	if err != nil {
		return nil, err
	}
	w := &Watched{dir: dir}
	if err := w.start(silence, args); err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

func (w *Watched) start(silence int, args []string) error {
	home := func(name string) string { return filepath.Join(w.dir, name) }
	if err := errors.Join(os.Mkdir(home("a"), 0o700), os.Mkdir(home("b"), 0o700), os.Mkdir(home("s"), 0o700)); err != nil {
		return err
	}
	// A replica takes over what a primary would wait five seconds to send.
	args = append(args, "--repl-diskless-sync-delay", "0")
	var err error
	if w.Primary, err = StartTCP(home("a"), args...); err != nil {
		return err
	}
	host, port := w.Primary.hostPort()
	if w.Replica, err = StartTCP(home("b"), append(args, "--replicaof", host+" "+port)...); err != nil {
		return err
	}
	// A Sentinel rewrites its file, and takes its rules from nowhere else.
	file := filepath.Join(home("s"), "sentinel.conf")
	rules := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s %[4]d\n"+
		"sentinel failover-timeout %[1]s %[5]d\n", MasterName, host, port, silence, failoverTimeout.Milliseconds())
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		return err
	}
	if w.Sentinel, err = StartTCP(home("s"), file, "--sentinel"); err != nil {
		return err
	}
	return w.settled(w.Primary)
}

// Client connects to whichever server is the primary. It repeats nothing.
func (w *Watched) Client(db int) *redis.Client {
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: MasterName, SentinelAddrs: []string{w.Sentinel.Address}, DB: db,
		MaxRetries: -1, ContextTimeoutEnabled: true,
	})
}

// FailOver makes the replica the primary and the other way round, without the
// loss of a server. It returns once that is done.
func (w *Watched) FailOver() error {
	watcher := redis.NewSentinelClient(&redis.Options{Addr: w.Sentinel.Address})
	defer watcher.Close()
	ctx := context.Background()
	// A Sentinel gives up what takes longer than its failover-timeout, as on a
	// machine with much else to do, and has to be asked again.
	var again time.Time
	err := until(func() bool {
		if w.isPrimary(ctx, watcher, w.Replica) {
			return true
		}
		if now := time.Now(); now.After(again) && watcher.Failover(ctx, MasterName).Err() == nil {
			again = now.Add(2 * failoverTimeout)
		}
		return false
	})
	if err != nil {
		return err
	}
	// The Sentinel would get to that by itself, after some ten seconds.
	old := w.Primary.Client(0)
	defer old.Close()
	host, port := w.Replica.hostPort()
	if err := old.ReplicaOf(ctx, host, port).Err(); err != nil {
		return err
	}
	return w.settled(w.Replica)
}

func (w *Watched) isPrimary(ctx context.Context, watcher *redis.SentinelClient, s *Server) bool {
	_, port := s.hostPort()
	primary, err := watcher.GetMasterAddrByName(ctx, MasterName).Result()
	return err == nil && len(primary) == 2 && primary[1] == port
}

// CutOff ends the replication for good, as a network that parts the two does:
// what the primary takes from now on is lost when it is.
func (w *Watched) CutOff(t testing.TB) {
	t.Helper()
	rdb := w.Primary.Client(0)
	defer rdb.Close()
	ctx := t.Context()
	// A replica that comes back is refused; what was sent to it is not called back.
	err := rdb.Do(ctx, "ACL", "SETUSER", "default", "-psync", "-sync", "-replconf").Err()
	if err == nil {
		err = rdb.ClientKillByFilter(ctx, "TYPE", "replica").Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// settled waits until a server is the primary, has a replica that has
// everything, and the Sentinel knows of both.
func (w *Watched) settled(primary *Server) error {
	ctx := context.Background()
	watcher := redis.NewSentinelClient(&redis.Options{Addr: w.Sentinel.Address})
	defer watcher.Close()
	rdb := primary.Client(0)
	defer rdb.Close()
	return until(func() bool {
		replicas, err := watcher.Replicas(ctx, MasterName).Result()
		return err == nil && len(replicas) == 1 && w.isPrimary(ctx, watcher, primary) &&
			strings.Contains(rdb.Info(ctx, "replication").Val(), "state=online")
	})
}

// Stop ends the servers that run.
func (w *Watched) Stop() {
	for _, s := range []*Server{w.Sentinel, w.Replica, w.Primary} {
		if s != nil {
			s.Kill()
		}
	}
	_ = os.RemoveAll(w.dir)
}
