package main_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// chaosPools let some 150 messages a second through: less than the roles could
// send, so that jobs wait, are let out, and have places to lose.
var chaosPools = []testPool{
	{"east", 400, map[string]int{alpha: 240, beta: 280}},
	{"west", 200, map[string]int{gamma: 200}},
}

// stoppedFor is longer than the ack wait and the life of every grant.
const stoppedFor = 3 * time.Second

// chaos is a fleet to which everything happens that should not.
type chaos struct {
	*fleet
	rng *rand.Rand

	redisAddr, redisDir string
	redis               *process
	natsAddr, natsDir   string
	natsServer          *process

	kills, stops int
	struck       map[string]int // how often, by role
	frozen       sync.WaitGroup
}

// TestChaos kills and stops roles at random while jobs flow, kills Redis in
// every way of keeping data, empties it, and kills NATS; the provider loses
// answers and callbacks. At the end its ledger judges: nothing lost, nothing
// sent twice, no limit exceeded, and every job in the state that its message is
// in. SLUICE_CHAOS_JOBS and SLUICE_CHAOS_KILLS make it larger, SLUICE_CHAOS_SEED
// repeats the order of events.
func TestChaos(t *testing.T) {
	lookRedis(t)
	n, kills := number(t, "SLUICE_CHAOS_JOBS", 600), number(t, "SLUICE_CHAOS_KILLS", 12)
	seed := number(t, "SLUICE_CHAOS_SEED", int(time.Now().UnixNano()%1_000_000))
	t.Logf("seed %d", seed)
	c := startChaos(t, n, uint64(seed))
	events := c.nats.events()
	publishing := c.publish()
	c.rage(kills)
	require.NoError(t, publishing.Wait())
	c.frozen.Wait()
	c.apiRole.ready() // it may have been killed last
	defer c.tell(events)
	c.requireAgreed(func(here, there string) bool { return here == there || here == "delivered" && there == "read" })
}

func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	require.Positive(t, n, name)
	return n
}

func startChaos(t testing.TB, n int, seed uint64) *chaos {
	t.Helper()
	c := &chaos{
		struck:    map[string]int{},
		rng:       rand.New(rand.NewPCG(seed, seed)),
		redisAddr: fixedAddr(t), redisDir: t.TempDir(), natsAddr: fixedAddr(t), natsDir: t.TempDir(),
	}
	c.redis = childRedis(t, c.redisAddr, c.redisDir, redisAOF)
	c.natsServer = childNATS(t, c.natsAddr, c.natsDir)
	c.fleet = assemble(t, n, chaosPools, "nats://"+c.natsAddr, c.redisAddr, func(addr string) string { return addr })
	c.end = c.begun.Add(90*time.Second + time.Duration(n)*time.Second/25)
	c.judge.faults(fields{
		"drop_response": 0.05, "server_error": 0.02,
		"callback_lost": 0.1, "callback_doubled": 0.1, "callback_shuffled": 1,
	})
	return c
}

// rage does its worst, evenly spread over the messages: blows to roles, and in
// between those to the engines.
func (c *chaos) rage(kills int) {
	c.t.Helper()
	engines := map[int]func(){
		kills * 1 / 6: func() { c.killRedis(redisAOF) },
		kills * 2 / 6: func() { c.killRedis(redisRDB) },
		kills * 3 / 6: c.killNATS,
		kills * 4 / 6: func() { c.redisDir = c.t.TempDir(); c.killRedis(redisNothing) },
		kills * 5 / 6: c.emptyRedis,
	}
	for i := range kills {
		c.until(func() bool { return c.judge.accepted() >= i*len(c.ids)*9/10/kills })
		if blow := engines[i]; blow != nil {
			blow()
		}
		c.strike()
	}
}

// strike hits one process: kill -9 and back, or stopped until its grants are
// over and then continued.
func (c *chaos) strike() {
	all := slices.Concat(c.dispatchers[:], c.callbacks[:], c.trackers[:], []*member{c.apiRole})
	victim := all[c.rng.IntN(len(all))]
	c.struck[victim.role]++
	if c.rng.IntN(3) == 0 {
		c.stops++
		c.freeze(victim.process)
		return
	}
	c.kills++
	victim.kill()
	victim.process = start(c.t, victim.settings, victim.role)
}

// freeze stops a process and lets it go on when its time is over, unless it was
// killed meanwhile.
func (c *chaos) freeze(p *process) {
	if p.cmd.Process.Signal(syscall.SIGSTOP) != nil {
		return
	}
	c.frozen.Go(func() {
		<-time.After(stoppedFor)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	})
}

// killRedis ends Redis with kill -9 and brings it back as it then keeps data.
func (c *chaos) killRedis(keeps []string) {
	c.t.Helper()
	c.redis.kill()
	c.redis = childRedis(c.t, c.redisAddr, c.redisDir, keeps)
}

func (c *chaos) emptyRedis() {
	c.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: c.redisAddr, MaxRetries: -1})
	defer client.Close()
	require.NoError(c.t, client.FlushAll(c.t.Context()).Err())
}

func (c *chaos) killNATS() {
	c.t.Helper()
	c.natsServer.kill()
	c.natsServer = childNATS(c.t, c.natsAddr, c.natsDir)
}

// tell prints how the unclear outcomes were settled.
func (c *chaos) tell(es *events) {
	count := map[string]int{}
	for _, kind := range []string{"unknown", "held", "duplicate"} {
		count[kind] = len(es.of(kind))
	}
	for _, e := range slices.Concat(es.of("queued"), es.of("scheduled")) {
		if e.Reason != "" && e.Reason != "send_at" {
			count[e.Reason]++
		}
	}
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&text, "\n%6d  %s", count[what], what)
	}
	c.t.Logf("%d jobs, %d kills, %d stops of %s, by role %v; Redis killed 3 times and emptied, NATS killed; unclear outcomes:%s",
		len(c.ids), c.kills, c.stops, stoppedFor, c.struck, text.String())
}
