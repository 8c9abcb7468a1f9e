package ratelimit

import (
	"context"
	"errors"
	"fmt"
)

// Preview is what messages of one sender to some customers would meet.
type Preview struct {
	// Pool and Sender are as [Gate.Limits] tells them, without names of
	// others: Pool.Senders and Pool.Waiting are empty. Pool.Paused includes the
	// pause of everything.
	Pool   PoolLimits
	Sender SenderLimits
	// OptedOut customers would be suppressed, InWindow ones have an open
	// service window, Known ones are counted already, New ones need a place.
	OptedOut, InWindow, Known, New int
}

// MaxPreview is how many customers one script looks at, for the reason of
// [MaxChanges].
const MaxPreview = 250

// Preview sorts customers by what a message of the sender would need, and
// reads limits and rate with them. It writes nothing. pool is where the sender
// counts unless a policy says otherwise. More than MaxPreview customers are
// looked at one batch after the other, so that jobs are admitted in between;
// the limits are those of the last.
func (g *Gate) Preview(ctx context.Context, sender, pool string, customers []string) (Preview, error) {
	if sender == "" || pool == "" {
		return Preview{}, errors.New("preview: sender and pool must be set")
	}
	var sum Preview
	for {
		n := min(len(customers), MaxPreview)
		p, err := g.preview(ctx, sender, pool, customers[:n])
		if err != nil {
			return Preview{}, err
		}
		p.OptedOut, p.InWindow = p.OptedOut+sum.OptedOut, p.InWindow+sum.InWindow
		p.Known, p.New = p.Known+sum.Known, p.New+sum.New
		sum, customers = p, customers[n:]
		if len(customers) == 0 {
			return sum, nil
		}
	}
}

func (g *Gate) preview(ctx context.Context, sender, pool string, customers []string) (Preview, error) {
	args := make([]any, 0, 2+len(customers))
	args = append(args, sender, pool)
	for _, customer := range customers {
		args = append(args, customer)
	}
	reply, err := g.ask(ctx, g.scripts.preview, []string{senderKey(sender), senderWindowKey(sender)}, args...)
	if err != nil {
		return Preview{}, err
	}
	p, err := decodePreview(sender, reply)
	if err != nil {
		return Preview{}, fmt.Errorf("preview: %w", err)
	}
	return p, nil
}

func decodePreview(sender string, reply any) (Preview, error) {
	row, err := decodeRow(reply, 18)
	if err != nil {
		return Preview{}, err
	}
	n := numbers{}
	p := Preview{
		Pool: PoolLimits{
			Pool: row[0], Limit: n.int(row[1]), Reserved: n.int(row[2]), Used: n.int(row[3]), NextFreeAt: n.time(row[4]),
			Paused: row[5] == "1", Closed: row[6] == "1", Now: n.time(row[7]),
		},
		Sender: SenderLimits{
			Sender: sender, Limit: n.int(row[8]), Used: n.int(row[9]), MPS: n.float(row[10]), NextFreeAt: n.time(row[11]),
			TrippedUntil: n.time(row[13]),
		},
		OptedOut: n.int(row[14]), InWindow: n.int(row[15]), Known: n.int(row[16]), New: n.int(row[17]),
	}
	p.Sender.Paused = row[12] == "1" || row[13] != ""
	p.Pool.Free, p.Sender.Free = free(p.Pool.Limit, p.Pool.Used), free(p.Sender.Limit, p.Sender.Used)
	return p, n.err
}
