package ratelimit_test

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// reply builds what a server could answer from lines: "[" and "]" enclose a
// list, ":" begins a number, "-" is nil, anything else is text.
func reply(data []byte) any {
	lists := [][]any{nil}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		last := len(lists) - 1
		switch {
		case string(line) == "[":
			lists = append(lists, []any{})
		case string(line) == "]" && last > 0:
			lists[last-1] = append(lists[last-1], lists[last])
			lists = lists[:last]
		case string(line) == "-":
			lists[last] = append(lists[last], nil)
		case len(line) > 0 && line[0] == ':':
			n, _ := strconv.ParseInt(string(line[1:]), 10, 64)
			lists[last] = append(lists[last], n)
		default:
			lists[last] = append(lists[last], string(line))
		}
	}
	if len(lists[0]) == 1 {
		return lists[0][0]
	}
	return lists[0]
}

func lines(fields ...string) string {
	var b bytes.Buffer
	for i, f := range fields {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f)
	}
	return b.String()
}

func FuzzDecodeVerdict(f *testing.F) {
	f.Add([]byte(lines("go", ":1772366400000000", ":1772366400000000", "", "", "pool", ":1", ":0", "", ":0")))
	f.Add([]byte(lines("park", ":-1", ":1", "rate", "", "pool", ":0", ":0", "", ":0")))
	f.Add([]byte(lines("go", "x", ":1", "", "", "", ":0", ":0", "", ":0")))
	f.Add([]byte(lines("[", "]", "-", ":1")))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ratelimit.DecodeVerdict(reply(data))
		if err != nil {
			require.Zero(t, v, "an error comes without a verdict")
			return
		}
		require.NotEmpty(t, v.Outcome)
	})
}

func FuzzDecodeLimits(f *testing.F) {
	pool := lines("[", "250", "3", "25", "", "1772366400000000", "", "", "", "0", "1", "2", "]")
	f.Add([]byte(lines("[", pool, "]")))
	f.Add([]byte(lines("[", pool, "[", "1555", "250", "3", "80", "", "", "", "", "", "]", "]")))
	f.Add([]byte(lines("[", pool, ":7", "]")))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ratelimit.DecodeLimits("pool", reply(data))
		if err != nil {
			require.Zero(t, p)
			return
		}
		require.GreaterOrEqual(t, p.Free, ratelimit.Unlimited)
	})
}

func FuzzDecodeSmallReplies(f *testing.F) {
	f.Add([]byte(lines("1", "2", "-", "4")))
	f.Add([]byte(":1"))
	f.Add([]byte("known"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reply(data)
		if row, err := ratelimit.DecodeRow(r, 2); err == nil {
			require.Len(t, row, 2)
		}
		if word, err := ratelimit.DecodeWord(r, "known"); err == nil {
			require.Equal(t, "known", word)
		}
		if yes, err := ratelimit.DecodeBool(r); err == nil {
			require.Equal(t, yes, r == any(int64(1)))
		}
		if row, ok := r.([]any); ok {
			if counts, version, err := ratelimit.DecodeWaiting(row); err != nil {
				require.Zero(t, counts)
				require.Zero(t, version)
			}
		}
	})
}

func TestDecodersRefuse(t *testing.T) {
	t.Parallel()
	good := func() []any {
		return []any{"go", int64(1), int64(2), "", "", "pool", int64(1), int64(0), "", int64(0)}
	}
	v, err := ratelimit.DecodeVerdict(good())
	require.NoError(t, err)
	require.Equal(t, int64(1), v.At.UnixMicro())
	for i, bad := range map[int]any{0: "gone", 1: "soon", 2: "15", 3: nil, 5: int64(1), 9: ""} {
		r := good()
		r[i] = bad
		_, err := ratelimit.DecodeVerdict(r)
		require.Error(t, err, "field %d is %v", i, bad)
	}
	for _, r := range []any{nil, "go", int64(1), good()[:9], append(good(), "")} {
		_, err := ratelimit.DecodeVerdict(r)
		require.Error(t, err)
	}
}
