package ledger

import (
	"context"
	"fmt"
)

// Drop deletes every record, so that the ledger is filled again from the log:
// its position is at the beginning. drop deletes the keys with a prefix. A crash
// halfway leaves the position first gone, and filling goes over what is left.
func (l *Ledger) Drop(ctx context.Context, drop func(ctx context.Context, prefix string) error) error {
	if err := l.rdb.Del(ctx, positionKey).Err(); err != nil {
		return fmt.Errorf("ledger: drop: %w", err)
	}
	if err := drop(ctx, tag); err != nil {
		return fmt.Errorf("ledger: drop: %w", err)
	}
	return nil
}
