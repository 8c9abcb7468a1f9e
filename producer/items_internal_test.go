package producer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// connection is an answer whose deadlines can be read.
type connection struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error {
	c.read = append(c.read, t)
	return nil
}

func (c *connection) SetWriteDeadline(t time.Time) error {
	c.write = append(c.write, t)
	return nil
}

// TestALongBodyKeepsItsConnection: every piece of it moves the deadlines on.
func TestALongBodyKeepsItsConnection(t *testing.T) {
	t.Parallel()
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	body := unhurried{iotest.OneByteReader(strings.NewReader("{}\n{}\n")), http.NewResponseController(c)}
	begun, count := time.Now(), 0
	for range lines(body, maxLine) {
		count++
	}
	require.Equal(t, 2, count)
	require.Len(t, c.read, 7, "six bytes and the end")
	for i, at := range c.read {
		require.False(t, at.Before(begun.Add(maxPause)), "piece %d", i)
		require.True(t, c.write[i].After(at), "the answer may come after the last piece")
	}
}
