package jobstream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullWait      = 5 * time.Second
	pullHeartbeat = 2 * time.Second // a server that is gone is noticed after two
)

// waitForOne waits up to 5 seconds for one message; nil is none. It also ends
// when the connection comes back after a loss, because the server has forgotten
// the request then. A message that is sent just as ctx ends is lost to this
// process and comes back after the ack wait.
func waitForOne(ctx context.Context, conn *nats.Conn, c jetstream.Consumer) (jetstream.Msg, error) {
	wait, cancel := context.WithTimeout(ctx, pullWait)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	back := conn.StatusChanged(nats.CONNECTED)
	defer conn.RemoveStatusListener(back)
	watching.Go(func() {
		select {
		case <-back:
			cancel()
		case <-wait.Done():
		}
	})

	msgs, err := collect(c.Fetch(1, jetstream.FetchContext(wait), jetstream.FetchHeartbeat(pullHeartbeat)))
	if len(msgs) > 0 {
		return msgs[0], nil
	}
	if wait.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

// takeReady takes up to n messages that are there, and waits for none. With an
// error, the messages that came before it are still in hand.
func takeReady(c jetstream.Consumer, n int) ([]jetstream.Msg, error) {
	return collect(c.FetchNoWait(n))
}

func collect(batch jetstream.MessageBatch, err error) ([]jetstream.Msg, error) {
	if err != nil {
		return nil, err
	}
	var msgs []jetstream.Msg
	for msg := range batch.Messages() {
		msgs = append(msgs, msg)
	}
	return msgs, batch.Error()
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
