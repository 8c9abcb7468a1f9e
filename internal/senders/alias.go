package senders

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/delivery"
)

// aliasFact says that an address is one more of a customer's. It carries both
// because its key has only a digest of the first.
type aliasFact struct {
	Address  string `json:"address"`
	Customer string `json:"customer"` // the address under which the customer counts
}

func aliasKey(address string) string { return kindAlias + "." + delivery.CustomerToken(address) }

// PutAlias stores that a phone address and a business-scoped id, in either order,
// are one customer's, as a webhook has shown them side by side. From then on they
// count as one, under the phone's. An id that is shown beside another phone later
// is that one's. Two phones are two customers, and two ids say nothing new: they
// are refused like what is no customer's address, with a [*delivery.FieldError].
func (r *Registry) PutAlias(ctx context.Context, one, other string) error {
	if !delivery.ValidCustomer(one) || !delivery.ValidCustomer(other) {
		return refuse("address", mustTo)
	}
	f := aliasFact{Address: one, Customer: other}
	if delivery.ValidPhone(one) {
		f = aliasFact{Address: other, Customer: one}
	}
	if delivery.ValidPhone(f.Address) || !delivery.ValidPhone(f.Customer) {
		return refuse("address", mustOpaque)
	}
	_, err := change(ctx, r.Silent(), aliasKey(f.Address), put[aliasFact](delivery.Event{}),
		func(aliasFact) (aliasFact, error) { return f, nil })
	return err
}

// known checks that a registry has stored the fact under its key.
func (f aliasFact) known(key string) error {
	if aliasKey(f.Address) != key || !delivery.ValidCustomer(f.Address) || !delivery.ValidPhone(f.Customer) {
		return fmt.Errorf("%w: %s does not fit its key", ErrMalformed, key)
	}
	return nil
}
