package ratelimit_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"os"

	"github.com/stretchr/testify/require"
	"github.com/sluicehq/sluice/ratelimit"
)

func cpu(t testing.TB, b *bench) float64 {
	s, err := b.rdb.Info(t.Context(), "cpu").Result()
	require.NoError(t, err)
	sum := 0.0
	for _, k := range []string{"used_cpu_sys", "used_cpu_user"} {
		m := regexp.MustCompile(k + `:([0-9.]+)`).FindStringSubmatch(s)
		f, _ := strconv.ParseFloat(m[1], 64)
		sum += f
	}
	return sum * 1e6
}

func TestProf(t *testing.T) {
	rdb := shared.client(int(nextDB.Add(1)))
	defer rdb.Close()
	g := &bench{Gate: ratelimit.New(rdb, ratelimit.Options{DefaultLimit: -1, DefaultMPS: 1e6}), rdb: rdb}
	g.open(t)
	for i := range 10000 {
		g.goes(t, job(fmt.Sprintf("job-%d", i), "15550001111", customer(i)))
	}
	text := ratelimit.AdmitText()
	const n = 500
	run := func(name, text string) {
		sha, err := rdb.ScriptLoad(t.Context(), text).Result()
		require.NoError(t, err)
		c0 := cpu(t, g)
		k := 0
		for r := 0; r < rounds(name); r++ {
			p := rdb.Pipeline()
			for i := 0; i < n; i++ {
				k++
				keys, args := ratelimit.AdmitArgs(g.Gate, job(fmt.Sprintf("%s-%d", name, k), "15550001111", customer(k)))
				p.EvalSha(t.Context(), sha, keys, args...)
			}
			_, err := p.Exec(t.Context())
			require.NoError(t, err)
		}
		t.Logf("%s %.1f us", name, (cpu(t, g)-c0)/float64(k))
	}
	run("nothing", "return {}")
	run("info", "local a = redis.call('INFO', 'server') return {}")
	run("infofind", "local a = redis.call('INFO', 'server') local i = string.find(a, 'run_id:', 1, true) a = string.sub(a, i+7, i+46) return {}")
	run("infomatch", "local a = redis.call('INFO', 'server') a=string.match(a, 'run_id:(%x+)') return {}")
	run("full", text)
	run("top", strings.Replace(text, "return decide()", "return {}", 1))
	for _, cut := range strings.Split(os.Getenv("CUTS"), "@") {
		if cut == "" { continue }
		require.Contains(t, text, cut)
		run(cut, strings.Replace(text, cut, "do return {} end "+cut, 1))
	}
}

func rounds(name string) int {
	if name == "full" && os.Getenv("LONG") != "" {
		return 300
	}
	return 20
}
