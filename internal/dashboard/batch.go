package dashboard

import (
	"bytes"
	"fmt"
	"sync"
)

// batch is what the hub added to the tail at once. Clients that keep up take
// it whole, and those with one filter write the same bytes: with a thousand of
// them, putting these together would cost more than all else but the writes.
type batch struct {
	from   uint64 // whoever is owed this sequence is owed the whole batch
	next   uint64 // and this one after it
	frames []*frame

	mu    sync.Mutex
	texts map[string][]byte // by the filter's shape
}

// text is what a client with this filter is to be written. The shape is the
// filter's, and empty where nobody else is likely to have the same.
func (b *batch) text(filter eventFilter, shape string) []byte {
	if shape == "" {
		return text(b.frames, filter)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	made, ok := b.texts[shape]
	if !ok {
		if b.texts == nil {
			b.texts = make(map[string][]byte)
		}
		made = text(b.frames, filter)
		b.texts[shape] = made
	}
	return made
}

// text puts together those of the frames that pass.
func text(all []*frame, filter eventFilter) []byte {
	var parts [][]byte
	for _, f := range all {
		if filter.passes(f) {
			parts = append(parts, f.text())
		}
	}
	return bytes.Join(parts, nil)
}

// shape is the same for filters that choose the same. Those of one job,
// customer or message have none: few clients share them.
func (f eventFilter) shape() string {
	if f.customer != "" || f.sid != "" || f.job != "" {
		return ""
	}
	return fmt.Sprintf("%s %q %q %s %s", f.sender, f.statuses, f.types, f.since, f.until)
}
