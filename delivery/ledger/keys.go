package ledger

import "github.com/sluicehq/sluice/delivery"

// tag keeps every key of the ledger on one slot of a Redis Cluster, so that a
// script may change a record and its indexes together.
const tag = "{sluice:ledger}:"

const (
	positionKey = tag + "position" // string: last log sequence applied
	createdKey  = tag + "created"  // sorted set: job by creation, µs
	endsKey     = tag + "ends"     // sorted set: job by when its record may go, ms
)

// jobKey is a hash: v version, head record without timeline, log timeline,
// until when the record may go.
func jobKey(id string) string { return tag + "job:" + id }

// sidKey is a string: the attempt and job that own a SID.
func sidKey(sid string) string { return tag + "sid:" + sid }

// orphansKey is a hash: the events of a SID that no job has named yet.
func orphansKey(sid string) string { return tag + "orphans:" + sid }

// The indexes are sorted sets of jobs by creation, in µs.
func statusKey(s delivery.Status) string { return tag + "status:" + string(s) }
func senderKey(token string) string      { return tag + "from:" + token }
func customerKey(address string) string  { return tag + "to:" + delivery.CustomerToken(address) }

// indexKeys names every index that a record stands in. A record without a
// status, known only by events beside its state, stands in none.
func indexKeys(r delivery.Record) []string {
	if r.Status == "" {
		return nil
	}
	keys := []string{createdKey, statusKey(r.Status)}
	if sender := delivery.SenderToken(r.From); sender != "" {
		keys = append(keys, senderKey(sender))
	}
	if r.To != "" {
		keys = append(keys, customerKey(r.To))
	}
	return keys
}
