package ledger

import (
	"context"
	_ "embed" // the scripts

	"github.com/redis/go-redis/v9"
)

//go:embed replace.lua
var replaceSource string

//go:embed remove.lua
var removeSource string

//go:embed adopt.lua
var adoptSource string

//go:embed advance.lua
var advanceSource string

var (
	replaceScript = redis.NewScript(replaceSource)
	removeScript  = redis.NewScript(removeSource)
	adoptScript   = redis.NewScript(adoptSource)
	advanceScript = redis.NewScript(advanceSource)
)

// call is one run of a script.
type call struct {
	keys []string
	args []any
}

// name appends indexes: the key of each, and the code it is listed under.
func (c *call) name(all []index) {
	for _, i := range all {
		c.keys = append(c.keys, i.key)
		c.args = append(c.args, i.code)
	}
}

// runAll runs a script once per call in one round trip. A server that has lost
// the script gets it again and all calls are repeated, those that ran before
// it was lost too: every script of the ledger may run twice.
func (l *Ledger) runAll(ctx context.Context, script *redis.Script, calls []call) ([]*redis.Cmd, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	for loaded := false; ; loaded = true {
		cmds := make([]*redis.Cmd, len(calls))
		_, err := l.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, c := range calls {
				cmds[i] = pipe.EvalSha(ctx, script.Hash(), c.keys, c.args...)
			}
			return nil
		})
		if err == nil || loaded || !redis.HasErrorPrefix(err, "NOSCRIPT") {
			return cmds, err
		}
		if err := script.Load(ctx, l.rdb).Err(); err != nil {
			return nil, err
		}
	}
}
