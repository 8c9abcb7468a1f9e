package producer_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/producer"
)

const ndjson = "application/x-ndjson"

func TestManyAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	var texts []string
	for n := range 200 {
		texts = append(texts, numbered(n))
	}
	texts[7], texts[150] = bad, "17"
	for contentType, body := range map[string]string{
		"application/json": " [" + strings.Join(texts, ",") + "]\n",
		ndjson:             strings.Join(texts, "\r\n") + "\n\n  \n",
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			e := newEngines()
			got := post(t, e.handler(), contentType, body)
			require.Equal(t, http.StatusAccepted, got.code)
			require.Nil(t, got.Error)
			require.Len(t, got.Results, 200)
			for n, result := range got.Results {
				switch n {
				case 7:
					require.Equal(t, "invalid_field", result.Error.Code)
				case 150:
					require.Equal(t, "invalid_json", result.Error.Code)
				default:
					require.Nil(t, result.Error)
					require.Equal(t, fmt.Sprintf("n-%d", n), result.ID)
					require.Equal(t, delivery.StatusAccepted, result.Status)
					e.requireKept(t, result.ID)
				}
			}
		})
	}
}

func TestSomeTakenSomeRefusedIs202(t *testing.T) {
	t.Parallel()
	e := newEngines()
	e.refuse = func(j producer.Job) error {
		if j.ID == "n-0" {
			return producer.ErrQueueFull
		}
		return nil
	}
	got := post(t, e.handler(), ndjson, numbered(0)+"\n"+numbered(1))
	require.Equal(t, http.StatusAccepted, got.code)
	require.Equal(t, "queue_full", got.Results[0].Error.Code)
	require.Equal(t, "n-1", got.Results[1].ID)
	require.Empty(t, got.header.Get("Retry-After"))
}

func TestNothingIsNoError(t *testing.T) {
	t.Parallel()
	for contentType, body := range map[string]string{"": "[]", ndjson: "\n"} {
		got := post(t, newEngines().handler(), contentType, body)
		require.Equal(t, http.StatusAccepted, got.code)
		require.JSONEq(t, `{"results":[]}`, got.text)
	}
}

func TestLongLineCostsOnlyItself(t *testing.T) {
	t.Parallel()
	e := newEngines()
	long := `{"body":"` + strings.Repeat("x", 1<<20) + `"}`
	got := post(t, e.handler(), ndjson, numbered(1)+"\n"+long+"\n"+numbered(2))
	require.Equal(t, http.StatusAccepted, got.code)
	require.Len(t, got.Results, 3)
	require.Equal(t, "too_large", got.Results[1].Error.Code)
	e.requireKept(t, "n-1")
	e.requireKept(t, "n-2")
}

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	e := newEngines()
	server := httptest.NewServer(e.handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 9999\r\n\r\n%s\n%s",
		ndjson, numbered(1), numbered(2)[:20])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	got := read(t, response.StatusCode, response.Header, string(text))
	require.Len(t, got.Results, 2)
	e.requireKept(t, "n-1")
	require.Equal(t, "invalid_json", got.Results[1].Error.Code)
	require.NotContains(t, e.published, "n-2", "half a line is no job")
}

// An answer beyond what is held back is written while the request is still
// being read; it must be whole all the same.
func TestAnswerLongerThanWhatIsHeld(t *testing.T) {
	t.Parallel()
	const n = 120_000
	server := httptest.NewServer(newEngines().handler())
	defer server.Close()
	body := bytes.Repeat([]byte("17\n"), n)
	response, err := server.Client().Post(server.URL, ndjson, io.MultiReader(bytes.NewReader(body))) // chunked
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Greater(t, len(text), 8<<20)
	require.Len(t, read(t, response.StatusCode, response.Header, string(text)).Results, n)
}

// A client that reads nothing before it has sent everything must not hang.
func TestClientThatSendsFirst(t *testing.T) {
	t.Parallel()
	const n = 80_000
	server := httptest.NewServer(newEngines().handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	body := strings.Repeat("17\n", n)
	_, err = fmt.Fprintf(conn, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", ndjson, len(body), body)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Len(t, read(t, response.StatusCode, response.Header, string(text)).Results, n)
}

// slow is a publisher that counts how many calls it has at once.
type slow struct {
	mu        sync.Mutex
	now, most int
}

func (s *slow) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.most = max(s.most, s.now)
}

func (s *slow) Publish(_ context.Context, job producer.Job) (producer.Receipt, error) {
	s.add(1)
	defer s.add(-1)
	<-time.After(time.Second) // of the bubble's clock
	return producer.Receipt{ID: job.ID}, nil
}

func (s *slow) PublishAgain(ctx context.Context, job producer.Job) (producer.Receipt, error) {
	return s.Publish(ctx, job)
}

func TestNoMoreAtOnceThanTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEngines(), &slow{}
		h := producer.NewHandler(producer.HandlerConfig{
			Publisher: s, Identities: e, States: e, Announcer: e, Concurrency: 5,
		})
		got := post(t, h, ndjson, strings.Repeat(noID+"\n", 50))
		require.Len(t, got.Results, 50)
		require.Equal(t, 5, s.most)
	})
}

func TestHandlerOverARealQueue(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, 2)
	e := newEngines()
	h := producer.NewHandler(producer.HandlerConfig{
		Publisher:  producer.New(js, producer.WithAnnounced()),
		Identities: e, States: e, Announcer: e,
	})
	for range 10 {
		require.Equal(t, http.StatusAccepted, post(t, h, "", one).code)
	}
	got := post(t, h, ndjson, noID+"\n"+noID+"\n"+one)
	require.Equal(t, http.StatusAccepted, got.code)
	require.EqualValues(t, 2, stored(t, stream))
	require.Equal(t, http.StatusTooManyRequests, post(t, h, "", noID).code)
	_, header := published(t, stream, 1)
	require.Equal(t, "1", header.Get(delivery.HeaderAnnounced))
}
