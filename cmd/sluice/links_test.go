package main_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	toxics "github.com/Shopify/toxiproxy/v2/client"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// linksVariable makes the test binary run the links and no test: the address
// they are told at. The library leaves goroutines behind, so it has a process of
// its own.
const linksVariable = "SLUICE_TEST_LINKS"

// serveLinks runs until it is killed.
func serveLinks(addr string) int {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, linksVariable, addr)
		return 2
	}
	toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()).Listen(host, port)
	return 1
}

// links are the ways from the roles to NATS, Redis and the provider.
type links struct {
	t       testing.TB
	client  *toxics.Client
	proxies []*toxics.Proxy
}

func newLinks(t testing.TB) *links {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	addr := fixedAddr(t)
	p := startProgram(t, env{linksVariable: addr}, self)
	l := &links{t: t, client: toxics.NewClient(addr)}
	eventually(t, func() bool { _, err := l.client.Proxies(); return err == nil }, func() string { return p.stderr.tail(2000) })
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // the library's client is that one
	return l
}

// to is where the link to an address begins.
func (l *links) to(addr string) string {
	l.t.Helper()
	p, err := l.client.CreateProxy(strings.ReplaceAll(addr, ":", "-"), fixedAddr(l.t), addr)
	require.NoError(l.t, err)
	l.proxies = append(l.proxies, p)
	return p.Listen
}

// faults are what may be wrong with a link: slow and uneven; reset; in halves,
// where one direction swallows what is sent and the connection stays open.
var faults = []struct {
	kind       string
	attributes toxics.Attributes
}{
	{"latency", toxics.Attributes{"latency": 150, "jitter": 140}},
	{"reset_peer", toxics.Attributes{"timeout": 50}},
	{"timeout", toxics.Attributes{"timeout": 0}},
}

// poison makes one direction of one link bad for a while.
func (l *links) poison(rng *rand.Rand) {
	l.t.Helper()
	p, fault := l.proxies[rng.IntN(len(l.proxies))], faults[rng.IntN(len(faults))]
	_, err := p.AddToxic("bad", fault.kind, []string{"upstream", "downstream"}[rng.IntN(2)], 1, fault.attributes)
	require.NoError(l.t, err)
	<-time.After(time.Duration(200+rng.IntN(2000)) * time.Millisecond)
	require.NoError(l.t, p.RemoveToxic("bad"))
}

// TestFaultyLinks makes the links between roles, NATS, Redis and the provider
// slow, reset them and cut them in halves while jobs flow. SLUICE_LINKS_JOBS is
// how many jobs, SLUICE_CHAOS_SEED repeats the order of events.
func TestFaultyLinks(t *testing.T) {
	lookRedis(t)
	n := number(t, "SLUICE_LINKS_JOBS", 200)
	seed := uint64(number(t, "SLUICE_CHAOS_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))

	redisAddr, natsAddr := fixedAddr(t), fixedAddr(t)
	startRedis(t, redisAddr)
	childNATS(t, natsAddr, t.TempDir())
	l := newLinks(t)
	f := assemble(t, n, chaosPools, "nats://"+l.to(natsAddr), l.to(redisAddr), l.to)
	// A sender that gets twenty unclear answers in a row rests for a minute.
	f.end = f.begun.Add(3*time.Minute + time.Duration(n)*time.Second/25)
	events := connect(t, "nats://"+natsAddr).events()
	publishing := f.publish()
	blows := 0
	for ; blows < n/20 && f.judge.accepted() < n*9/10; blows++ {
		l.poison(rng)
	}
	require.NoError(t, publishing.Wait())
	f.requireAgreed(func(here, there string) bool { return here == there || here == "delivered" && there == "read" })
	t.Logf("%d jobs, %d faults of links, %d unclear outcomes", n, blows, len(events.of("unknown")))
}
