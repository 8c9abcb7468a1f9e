package producer

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// maxHeld is how many bytes of results are kept back. Many clients read the
// answer only after they have sent everything; were it written at once, both
// sides would come to wait for each other as soon as the connection's buffers
// are full. Only an answer longer than this (a hundred thousand results and more)
// needs a client that reads while it writes.
const maxHeld = 8 << 20

// results writes {"results":[…]}. As long as it holds everything back it can
// still answer that the queue refused, which is what a client can act upon.
type results struct {
	w          http.ResponseWriter
	retryAfter time.Duration

	held    bytes.Buffer // results not yet written, with their commas
	count   int
	started bool     // the status line is out
	settled bool     // some job is settled: taken, or refused for good
	refusal *problem // the first that waiting may cure
}

func (r *results) add(a answer) {
	if r.count++; r.count > 1 {
		r.held.WriteByte(',')
	}
	data, err := json.Marshal(a)
	if err != nil {
		panic("producer: an answer is always marshalled: " + err.Error())
	}
	r.held.Write(data)
	if a.Error == nil || !a.Error.later() {
		r.settled = true
	} else if r.refusal == nil {
		r.refusal = a.Error
	}
	if r.held.Len() >= maxHeld {
		r.flush()
	}
}

// flush writes what is held, on a connection that may still be sending us the
// request.
func (r *results) flush() {
	if !r.started {
		// Where it is not supported (HTTP/2) it is not needed.
		_ = http.NewResponseController(r.w).EnableFullDuplex()
		r.start(nil)
	}
	_, _ = r.held.WriteTo(r.w) // a client that hung up repeats its request
	r.held.Reset()
}

// start writes the status line and all of the body that precedes the results.
func (r *results) start(refusal *problem) {
	r.started = true
	if refusal == nil {
		r.w.Header().Set("Content-Type", "application/json")
		r.w.WriteHeader(http.StatusAccepted)
		_, _ = r.w.Write([]byte(`{"results":[`))
		return
	}
	writeHeader(r.w, refusal, r.retryAfter)
	described, err := json.Marshal(refusal)
	if err != nil {
		panic("producer: a problem is always marshalled: " + err.Error())
	}
	_, _ = r.w.Write([]byte(`{"error":`))
	_, _ = r.w.Write(described)
	_, _ = r.w.Write([]byte(`,"results":[`))
}

// finish ends the answer. Where no job was settled and waiting may help, the
// whole request is refused; the results name the ids to repeat it with.
func (r *results) finish() {
	if !r.started {
		if r.settled {
			r.refusal = nil
		}
		r.start(r.refusal)
	}
	_, _ = r.held.WriteTo(r.w)
	_, _ = r.w.Write([]byte("]}\n"))
}
