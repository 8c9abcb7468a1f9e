package ratelimit

import (
	"fmt"
	"strconv"
	"time"
)

// decodeVerdict reads the reply of admit.lua: texts, and numbers for times and
// truths.
func decodeVerdict(reply any) (Verdict, error) {
	list, ok := reply.([]any)
	if !ok || len(list) != 10 {
		return Verdict{}, fmt.Errorf("verdict: reply is %T, not a list of 10", reply)
	}
	f := fields{list: list}
	v := Verdict{
		Outcome: Outcome(f.text(0)), At: f.time(1), Now: f.time(2), Reason: f.text(3), Detail: f.text(4),
		Pool: f.text(5), Counted: f.number(6) == 1, InWindow: f.number(7) == 1, SID: f.text(8), Settled: f.number(9) == 1,
	}
	if f.err != nil {
		return Verdict{}, fmt.Errorf("verdict: %w", f.err)
	}
	switch v.Outcome {
	case OutcomeGo, OutcomePark, OutcomePrior, OutcomeConflict, OutcomeCanceled, OutcomeExpired,
		OutcomeSuppressed, OutcomeNoWindow, OutcomeEnded, OutcomeClosed:
		return v, nil
	default:
		return Verdict{}, fmt.Errorf("verdict: outcome %q is unknown", v.Outcome)
	}
}

// fields reads a list of texts and numbers and keeps the first error.
type fields struct {
	list []any
	err  error
}

func field[T any](f *fields, i int) (v T) {
	v, ok := f.list[i].(T)
	if !ok && f.err == nil {
		f.err = fmt.Errorf("field %d is %T, not %T", i, f.list[i], v)
	}
	return v
}

func (f *fields) text(i int) string  { return field[string](f, i) }
func (f *fields) number(i int) int64 { return field[int64](f, i) }

// time reads µs since the epoch; a negative number is the zero time.
func (f *fields) time(i int) time.Time {
	if us := f.number(i); us >= 0 {
		return time.UnixMicro(us).UTC()
	}
	return time.Time{}
}

// decodeLimits reads the reply of limits.lua: a row for the pool, then one for
// each sender.
func decodeLimits(pool string, reply any) (PoolLimits, error) {
	rows, ok := reply.([]any)
	if !ok || len(rows) == 0 {
		return PoolLimits{}, fmt.Errorf("limits: reply is %T, not rows", reply)
	}
	p := PoolLimits{Pool: pool, Senders: make([]SenderLimits, 0, len(rows)-1)}
	if err := decodePoolRow(rows[0], &p); err != nil {
		return PoolLimits{}, fmt.Errorf("limits of pool: %w", err)
	}
	for _, row := range rows[1:] {
		s, err := decodeSenderRow(row)
		if err != nil {
			return PoolLimits{}, fmt.Errorf("limits of sender: %w", err)
		}
		p.Senders = append(p.Senders, s)
	}
	return p, nil
}

func decodePoolRow(reply any, p *PoolLimits) error {
	row, err := decodeRow(reply, 11)
	if err != nil {
		return err
	}
	n := numbers{}
	p.Limit, p.Used, p.Reserved = n.int(row[0]), n.int(row[1]), n.int(row[2])
	p.Free = free(p.Limit, p.Used)
	p.NextFreeAt, p.Now = n.time(row[3]), n.time(row[4])
	p.Paused, p.PausedReason, p.Closed = row[5] == "1", row[6], row[7] == "1"
	for i := range p.Waiting {
		p.Waiting[i] = n.int64(row[8+i])
	}
	return n.err
}

func decodeSenderRow(reply any) (SenderLimits, error) {
	row, err := decodeRow(reply, 10)
	if err != nil {
		return SenderLimits{}, err
	}
	n := numbers{}
	s := SenderLimits{
		Sender: row[0], Limit: n.int(row[1]), Used: n.int(row[2]), MPS: n.float(row[3]),
		NextFreeAt: n.time(row[4]), Paused: row[5] == "1", PausedReason: row[6],
		TrippedUntil: n.time(row[7]), RequireOptIn: row[8] == "1",
		EffectiveMPS: n.float(row[9]),
	}
	s.Free = free(s.Limit, s.Used)
	return s, n.err
}

// free is what is left of a limit.
func free(limit, used int) int {
	if limit == Unlimited {
		return Unlimited
	}
	return max(0, limit-used)
}

// decodeCut reads the reply of cut.lua.
func decodeCut(reply any) (mps float64, fresh bool, err error) {
	row, ok := reply.([]any)
	if !ok || len(row) != 2 {
		return 0, false, fmt.Errorf("cut: reply is %v, not a pair", reply)
	}
	text, ok := row[1].(string)
	if !ok {
		return 0, false, fmt.Errorf("cut: rate is %T, not text", row[1])
	}
	if fresh, err = decodeBool(row[0]); err == nil {
		mps, err = strconv.ParseFloat(text, 64)
	}
	return mps, fresh, err
}

// decodeWaiting reads the fields of a waiting hash; missing ones are 0.
func decodeWaiting(row []any) (counts [3]int64, version int64, err error) {
	if len(row) != len(waitingFields) {
		return counts, 0, fmt.Errorf("waiting: %d fields, not %d", len(row), len(waitingFields))
	}
	var all [4]int64
	n := numbers{}
	for i, field := range row {
		switch text := field.(type) {
		case nil:
		case string:
			all[i] = n.int64(text)
		default:
			return counts, 0, fmt.Errorf("waiting: field is %T, not text", field)
		}
	}
	if n.err != nil {
		return counts, 0, fmt.Errorf("waiting: %w", n.err)
	}
	return [3]int64(all[:3]), all[3], nil
}

// decodeRow reads a list of exactly n texts.
func decodeRow(reply any, n int) ([]string, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("reply is %T, not a list", reply)
	}
	if len(list) != n {
		return nil, fmt.Errorf("reply has %d fields, not %d", len(list), n)
	}
	row := make([]string, n)
	for i, field := range list {
		if row[i], ok = field.(string); !ok {
			return nil, fmt.Errorf("reply field %d is %T, not text", i, field)
		}
	}
	return row, nil
}

// decodeWord reads one of the words that a script may answer.
func decodeWord(reply any, words ...string) (string, error) {
	text, ok := reply.(string)
	if !ok {
		return "", fmt.Errorf("reply is %T, not text", reply)
	}
	for _, word := range words {
		if text == word {
			return text, nil
		}
	}
	return "", fmt.Errorf("reply %q is unknown", text)
}

// decodeBool reads 1 or 0.
func decodeBool(reply any) (bool, error) {
	n, ok := reply.(int64)
	if !ok || n < 0 || n > 1 {
		return false, fmt.Errorf("reply %v is not 0 or 1", reply)
	}
	return n == 1, nil
}

// decodeTime reads µs since the epoch; empty is the zero time.
func decodeTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(us).UTC(), nil
}

// numbers parses fields and keeps the first error.
type numbers struct{ err error }

func parse[T any](n *numbers, v T, err error) T {
	if err != nil && n.err == nil {
		n.err = err
	}
	return v
}

func (n *numbers) int(text string) int {
	v, err := strconv.Atoi(text)
	return parse(n, v, err)
}

func (n *numbers) int64(text string) int64 {
	v, err := strconv.ParseInt(text, 10, 64)
	return parse(n, v, err)
}

func (n *numbers) float(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	return parse(n, v, err)
}

func (n *numbers) time(text string) time.Time {
	v, err := decodeTime(text)
	return parse(n, v, err)
}
