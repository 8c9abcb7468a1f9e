package ratelimit

import (
	"context"
	"errors"
)

// SetAlias records that alias, an address of a customer, is the customer whose
// other address is given: from then on the two share places, consents, service
// windows and the pace of messages. What was kept for alias becomes the
// customer's in the same step, the later of two times and the newer of two
// statements; where both have a place, one remains, which no failed attempt
// gives back before it ages out. An alias may change its customer: what was sent to
// it stays counted where it is, and counts for the new customer too, because which
// messages were whose is no longer known. An alias of itself, over whatever detour,
// changes nothing. Versions are as in SetSender. The step takes time with the
// number of senders, about a microsecond each.
func (g *Gate) SetAlias(ctx context.Context, alias, customer string, version uint64) error {
	if alias == "" || customer == "" {
		return errors.New("set alias: both addresses of the customer must be set")
	}
	_, err := g.ask(ctx, g.scripts.alias, []string{customerKey(alias)}, alias, customer, versionText(version))
	return err
}
