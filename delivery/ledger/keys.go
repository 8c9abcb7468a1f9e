package ledger

import (
	"strconv"

	"github.com/sluicehq/sluice/delivery"
)

// tag keeps every key of the ledger on one slot of a Redis Cluster, so that a
// script may change a record and its indexes together.
const tag = "{sluice:ledger}:"

const (
	positionKey = tag + "position" // string: last log sequence applied
	createdKey  = tag + "created"  // sorted set: job by creation, µs
	endsKey     = tag + "ends"     // sorted set: job by when its record may go, ms
	codesKey    = tag + "codes"    // set: the error codes whose index holds a job
)

// jobKey is a hash: v version, head record without timeline, log timeline,
// until when the record may go.
func jobKey(id string) string { return tag + "job:" + id }

// sidKey is a string: the attempt and job that own a SID.
func sidKey(sid string) string { return tag + "sid:" + sid }

// orphansKey is a hash: the events of a SID that no job has named yet.
func orphansKey(sid string) string { return tag + "orphans:" + sid }

// index is a sorted set of jobs by creation, in µs. A record stands in each
// once, so that counting one over a range is counting jobs.
type index struct {
	key  string
	code string // the error code that codesKey lists it under, empty for none
}

func statusIndex(s delivery.Status) index { return index{key: tag + "status:" + string(s)} }
func senderIndex(token string) index      { return index{key: tag + "from:" + token} }
func customerIndex(address string) index {
	return index{key: tag + "to:" + delivery.CustomerToken(address)}
}
func senderCodeIndex(token, code string) index {
	return index{key: tag + "from:" + token + ":code:" + code}
}

func senderStatusIndex(token string, s delivery.Status) index {
	return index{key: tag + "from:" + token + ":status:" + string(s)}
}

func categoryIndex(c delivery.Category) index { return index{key: tag + "category:" + string(c)} }

func senderCategoryIndex(token string, c delivery.Category) index {
	return index{key: tag + "from:" + token + ":category:" + string(c)}
}

func codeIndex(code string) index { return index{key: tag + "code:" + code, code: code} }

// indexes names every index that a record stands in. A record without a
// status, known only by events beside its state, stands in none.
func indexes(r delivery.Record) []index {
	if r.Status == "" {
		return nil
	}
	all := []index{{key: createdKey}, statusIndex(r.Status)}
	sender := delivery.SenderToken(r.From)
	if sender != "" {
		all = append(all, senderIndex(sender), senderStatusIndex(sender, r.Status))
	}
	if r.To != "" {
		all = append(all, customerIndex(r.To))
	}
	if r.Category != "" {
		all = append(all, categoryIndex(r.Category))
		if sender != "" {
			all = append(all, senderCategoryIndex(sender, r.Category))
		}
	}
	if r.Error != nil {
		code := strconv.Itoa(r.Error.Code)
		all = append(all, codeIndex(code))
		if sender != "" {
			all = append(all, senderCodeIndex(sender, code))
		}
	}
	return all
}
