package ratelimit

import (
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// script is a Lua script with the name that its errors bear. Run sends its
// digest, and its text only to a server that does not have it yet.
type script struct {
	*redis.Script
	name string
}

// One script per question. The names after the first are the parts that it
// builds on, in front of it in this order.
var (
	admitScript    = load("admit", "gate", "window", "record", "waiting", "policy", "rate")
	claimScript    = load("claim", "gate")
	disclaimScript = load("disclaim", "gate")
	confirmScript  = load("confirm", "gate", "window", "record")
	giveBackScript = load("giveback", "gate", "window", "record")
	cancelScript   = load("cancel", "gate", "window", "record", "waiting")
	applyScript    = load("apply", "gate", "window", "record", "waiting", "policy", "choice")
	senderScript   = load("sender", "gate", "policy")
	poolScript     = load("pool", "gate")
	pauseScript    = load("pause", "gate")
	consentScript  = load("consent", "gate", "choice")
	tripScript     = load("trip", "gate")
	limitsScript   = load("limits", "gate", "window", "policy")
	previewScript  = load("preview", "gate", "window", "policy")
	slotsScript    = load("slots", "gate", "window")
	waitingScript  = load("setwaiting", "gate")
	epochScript    = load("epoch", "gate")
	openScript     = load("open", "gate")
	leaseScript    = load("lease", "gate")
)

func load(name string, parts ...string) *script {
	var text strings.Builder
	text.WriteString(luaKeys())
	for _, part := range append(parts, name) {
		source, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic("ratelimit: " + err.Error())
		}
		text.Write(source)
	}
	return &script{Script: redis.NewScript(text.String()), name: name}
}
