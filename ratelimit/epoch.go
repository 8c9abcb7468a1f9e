package ratelimit

import (
	"context"
	"fmt"
)

// Epoch reads the present life of Redis (its master_replid, or Options.Epoch)
// and the one that the gate was opened for, empty if none. The gate is open
// exactly while the two are equal, which every admission checks for itself.
func (g *Gate) Epoch(ctx context.Context) (current, opened string, err error) {
	reply, err := g.ask(ctx, g.scripts.epoch, []string{keyGate})
	if err != nil {
		return "", "", err
	}
	row, err := decodeRow(reply, 2)
	if err != nil {
		return "", "", fmt.Errorf("gate epoch: %w", err)
	}
	return row[0], row[1], nil
}

// Refill notes that the gate is being refilled in an epoch, before anything is
// read that the refill builds on. It returns ErrEpoch if Redis has begun another
// life since the epoch was read.
func (g *Gate) Refill(ctx context.Context, epoch string) error {
	return g.inEpoch(ctx, g.scripts.refill, epoch)
}

// Open opens the gate for the epoch that the caller has refilled it in. It
// returns ErrEpoch, and the gate stays closed, if Redis has begun another life
// since, or was emptied since Refill. Apply the whole log first, up to its last
// sequence read one grant life after the mismatch was seen: until then an older
// grant may still log its intent and send.
func (g *Gate) Open(ctx context.Context, epoch string) error {
	return g.inEpoch(ctx, g.scripts.open, epoch)
}

func (g *Gate) inEpoch(ctx context.Context, s *script, epoch string) error {
	if epoch == "" {
		return fmt.Errorf("%s: epoch must be set: read it before the refill", s.name)
	}
	reply, err := g.ask(ctx, s, []string{keyGate}, epoch)
	if err != nil {
		return err
	}
	done, err := decodeBool(reply)
	if err != nil {
		return fmt.Errorf("gate %s: %w", s.name, err)
	}
	if !done {
		return ErrEpoch
	}
	return nil
}

// Close closes the gate: nothing is admitted until Open. Grants already given
// stay valid for their life.
func (g *Gate) Close(ctx context.Context) error {
	if err := g.rdb.HDel(ctx, keyGate, "epoch").Err(); err != nil {
		return fmt.Errorf("gate close: %w", err)
	}
	return nil
}
