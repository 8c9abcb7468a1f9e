package producer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/producer"
)

// An application publishes a job, then the same one again, as it would after a
// crash that lost the first answer.
func Example() {
	js, stop := queue()
	defer stop()

	p := producer.New(js)
	job := producer.Job{
		ID:               "order-4711-shipped",
		From:             "whatsapp:+4915112345678",
		To:               "whatsapp:+4915187654321",
		ContentSID:       "HX0123456789abcdef0123456789abcdef",
		ContentVariables: producer.Variables{"1": "4711"},
	}
	for range 2 {
		receipt, err := p.Publish(context.Background(), job)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(receipt.ID, "duplicate:", receipt.Duplicate)
	}

	job.ID, job.To = "order-4712-shipped", "015187654321"
	_, err := p.Publish(context.Background(), job)
	fmt.Println(err)
	// Output:
	// order-4711-shipped duplicate: false
	// order-4711-shipped duplicate: true
	// to: must be whatsapp:+ and 7 to 15 digits, the first not 0, or whatsapp:CC.id of at most 140 characters
}

// The smallest program that sends: a connection, and one call a job.
func ExampleProducer_Publish() {
	js, stop := queue()
	defer stop()
	ctx := context.Background()

	p := producer.New(js)
	receipt, err := p.Publish(ctx, producer.Job{
		ID: "order-17-shipped", From: "whatsapp:+15550001111", To: "whatsapp:+15552223333",
		ContentSID: "HX00000000000000000000000000000001", ContentVariables: map[string]string{"1": "Ana"},
	})
	check(err)
	fmt.Println(receipt.ID)
	// Output: order-17-shipped
}

// queue starts a server in this process with the stream that Sluice creates.
// An application connects to a running one instead.
func queue() (jetstream.JetStream, func()) {
	dir, err := os.MkdirTemp("", "sluice-example")
	check(err)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
	})
	check(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		log.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	_, err = js.CreateStream(context.Background(), jetstream.StreamConfig{
		Name: "SLUICE_JOBS", Subjects: []string{"sluice.jobs.>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
	})
	check(err)
	return js, func() {
		nc.Close()
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
