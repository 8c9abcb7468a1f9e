package ratelimit

import (
	"fmt"
	"sort"
	"strings"
)

// Every key of the gate. They share one hash tag and so one slot of a Redis
// Cluster: that is what makes windows, grants, pools and flags atomic together.
// Owner says which scripts write the key.
const (
	// keyEpoch: string, the epoch the gate was opened for.
	// Owner: open, Close. Life: until closed.
	keyEpoch = "{sluice}:epoch"

	// keyPosition: string, sequence of the last log entry applied.
	// Owner: apply. Life: for ever.
	keyPosition = "{sluice}:pos"

	// keyPause: hash paused, reason, version: the pause of everything.
	// Owner: pause. Life: for ever.
	keyPause = "{sluice}:pause"

	// keyPools: set of the names of all pools seen.
	// Owner: admit, sender, pool, apply. Life: for ever.
	keyPools = "{sluice}:pools"

	// prefixJob + job id: hash, what the gate knows of a job and its attempts;
	// fields in record.lua.
	// Owner: admit, claim, giveback, cancel, apply. Life: none while the job
	// lives, Options.Retention after its end, or after a claim that nothing
	// followed.
	prefixJob = "{sluice}:job:"

	// prefixSender + sender: hash, policy (pool, limit, mps, paused, reason,
	// optin, version), trip (until, fault) and the pool whose member it is
	// (member).
	// Owner: sender, trip, admit, apply. Life: for ever.
	prefixSender = "{sluice}:sender:"

	// prefixPool + pool: hash, policy (limit, reserve, paused, reason, closed,
	// version) and what its members' limits come to (top: the largest one set,
	// default: 1 if any follows the default).
	// Owner: pool, and with the members. Life: for ever.
	prefixPool = "{sluice}:pool:"

	// prefixMembers + pool: hash, sender → limit as set, empty for the default.
	// Owner: sender, admit, apply. Life: while the pool has senders.
	prefixMembers = "{sluice}:members:"

	// prefixSenderWindow + sender: sorted set, customer → µs of the last
	// counted send.
	// Owner: admit, giveback, cancel, apply. Life: entries are trimmed once
	// they no longer count.
	prefixSenderWindow = "{sluice}:window:sender:"

	// prefixPoolWindow + pool: sorted set, as above, for all senders of the pool.
	// Owner: the same, and sender (a sender brings its customers along).
	prefixPoolWindow = "{sluice}:window:pool:"

	// prefixRate + sender: string, µs at which the sender's rate is free again.
	// Owner: admit. Life: for ever, one number per sender.
	prefixRate = "{sluice}:rate:"

	// prefixWaiting + pool: hash, priority 0-2 → jobs marked as waiting, and
	// version, which every mark and unmark raises.
	// Owner: admit, cancel, apply, waiting. Life: for ever.
	prefixWaiting = "{sluice}:waiting:"

	// prefixConsent + customer: hash, sender or * → choice, version and µs.
	// Owner: consent, apply. Life: for ever: a no is not forgotten.
	prefixConsent = "{sluice}:consent:"

	// prefixInbound + sender:customer: string, µs of the customer's last
	// message to the sender.
	// Owner: apply. Life: the service window.
	prefixInbound = "{sluice}:inbound:"

	// prefixSID + message sid: string, the job that the message is.
	// Owner: Own. Life: Options.Retention.
	prefixSID = "{sluice}:sid:"

	// prefixLease + name: string, the holder.
	// Owner: lease. Life: the lease's.
	prefixLease = "{sluice}:lease:"
)

func jobKey(job string) string             { return prefixJob + job }
func senderKey(sender string) string       { return prefixSender + sender }
func poolKey(pool string) string           { return prefixPool + pool }
func membersKey(pool string) string        { return prefixMembers + pool }
func senderWindowKey(sender string) string { return prefixSenderWindow + sender }
func poolWindowKey(pool string) string     { return prefixPoolWindow + pool }
func rateKey(sender string) string         { return prefixRate + sender }
func waitingKey(pool string) string        { return prefixWaiting + pool }
func consentKey(customer string) string    { return prefixConsent + customer }
func inboundKey(sender, customer string) string {
	return prefixInbound + sender + ":" + customer
}
func sidKey(sid string) string    { return prefixSID + sid }
func leaseKey(name string) string { return prefixLease + name }

// waitingFields are the fields of a waiting hash: priorities 0-2, version.
var waitingFields = []string{"0", "1", "2", "version"}

// luaKeys declares the names that scripts must build for themselves, because
// they depend on what Redis holds (the pool of a sender, the sender of a job).
func luaKeys() string {
	names := map[string]string{
		"pause":         keyPause,
		"pools":         keyPools,
		"job":           prefixJob,
		"sender":        prefixSender,
		"pool":          prefixPool,
		"members":       prefixMembers,
		"sender_window": prefixSenderWindow,
		"pool_window":   prefixPoolWindow,
		"waiting":       prefixWaiting,
		"consent":       prefixConsent,
		"inbound":       prefixInbound,
	}
	fields := make([]string, 0, len(names))
	for name, key := range names {
		fields = append(fields, fmt.Sprintf("%s = %q", name, key))
	}
	sort.Strings(fields)
	return "local key = { " + strings.Join(fields, ", ") + " }\n"
}
