package senders

import (
	"errors"
	"strings"
	"sync"
)

// DirectoryPrefix is the key under which the facts of senders stand.
const DirectoryPrefix = kindSender

// Directory says which account a sender belongs to, from memory: a dispatcher
// asks before every send. It is fed with the facts as they are followed, and
// safe for concurrent use.
type Directory struct {
	mu       sync.RWMutex
	accounts map[string]string
	complete bool
}

// NewDirectory returns an empty directory.
func NewDirectory() *Directory { return &Directory{accounts: map[string]string{}} }

// Account is a sender's, empty while it has none of its own.
func (d *Directory) Account(token string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.accounts[token]
}

// Learn takes the value of one fact in. Keys of other facts are ignored. An
// error is [ErrMalformed] and leaves what was known.
func (d *Directory) Learn(key string, data []byte) error {
	kind, token, _ := strings.Cut(key, ".")
	if kind != kindSender {
		return nil
	}
	f, err := decode[senderFact](key, data)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if account := f.account(); account != "" {
		d.accounts[token] = account
	} else {
		delete(d.accounts, token)
	}
	return nil
}

// account is the one put by hand, else the provider's, else none.
func (f senderFact) account() string {
	if f.Account == "" && f.Provider != nil {
		return f.Provider.Account
	}
	return f.Account
}

// CaughtUp marks that every fact there was has been taken in.
func (d *Directory) CaughtUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.complete = true
}

// Ready reports why a sender's account may not be known yet, or nil.
func (d *Directory) Ready() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.complete {
		return errors.New("the accounts of the senders are not read yet")
	}
	return nil
}
