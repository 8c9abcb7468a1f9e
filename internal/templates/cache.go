package templates

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// Source reads a template of an account. ok is false, and err nil, for one that
// the account does not have.
type Source interface {
	Template(ctx context.Context, account, sid string) (t Template, ok bool, err error)
}

// Config is how a [Cache] works. The zero value of a field is its default.
type Config struct {
	Fresh   time.Duration // how long what was read holds, default 1m
	Failed  time.Duration // how long a template that can't be read is left alone, default 10s
	Timeout time.Duration // of reading one, default 2s
	Most    int           // templates kept, default 10,000; beyond, all are read anew
	Now     func() time.Time
}

func (c Config) withDefaults() Config {
	c.Fresh = cmp.Or(c.Fresh, time.Minute)
	c.Failed = cmp.Or(c.Failed, 10*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.Most = cmp.Or(c.Most, 10_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Cache is what is known of templates. It is safe for concurrent use: of many
// that ask for the same template at once, one reads it; the others wait if
// nothing is known yet, and else go by what was.
type Cache struct {
	source Source
	cfg    Config

	mu      sync.Mutex
	entries map[name]*entry
}

type name struct{ account, sid string }

type entry struct {
	template Template
	known    bool
	until    time.Time
	reading  chan struct{} // closed when it was read; nil while nobody does
}

// NewCache returns an empty cache.
func NewCache(source Source, cfg Config) *Cache {
	return &Cache{source: source, cfg: cfg.withDefaults(), entries: map[name]*entry{}}
}

// Again is how long what is said of a template holds.
func (c *Cache) Again() time.Duration { return c.cfg.Fresh }

// Template returns what is known of a template; known is false where it can't
// be read, or does not exist in this account.
func (c *Cache) Template(ctx context.Context, account, sid string) (t Template, known bool) {
	key := name{account, sid}
	c.mu.Lock()
	e := c.entries[key]
	if e == nil {
		if len(c.entries) >= c.cfg.Most {
			clear(c.entries) // readers under way keep their entries
		}
		e = &entry{}
		c.entries[key] = e
	}
	switch {
	case c.cfg.Now().Before(e.until), e.reading != nil && !e.until.IsZero():
		defer c.mu.Unlock()
		return e.template, e.known
	case e.reading != nil:
		done := e.reading
		c.mu.Unlock()
		return c.wait(ctx, e, done)
	}
	e.reading = make(chan struct{})
	c.mu.Unlock()
	return c.read(ctx, key, e)
}

func (c *Cache) wait(ctx context.Context, e *entry, done <-chan struct{}) (Template, bool) {
	select {
	case <-done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return e.template, e.known
	case <-ctx.Done():
		return Template{}, false
	}
}

// read asks the provider. A caller that gives up says nothing about the
// template: the next one asks again.
func (c *Cache) read(ctx context.Context, key name, e *entry) (Template, bool) {
	asking, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	t, ok, err := c.source.Template(asking, key.account, key.sid)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { close(e.reading); e.reading = nil }()
	switch {
	case ctx.Err() != nil:
		return Template{}, false
	case err != nil:
		e.template, e.known, e.until = Template{}, false, c.cfg.Now().Add(c.cfg.Failed)
	default:
		e.template, e.known, e.until = t, ok, c.cfg.Now().Add(c.cfg.Fresh)
	}
	return e.template, e.known
}
