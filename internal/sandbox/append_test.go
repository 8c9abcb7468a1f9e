package sandbox

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// disk is a file on a disk that fills up in the middle of a line.
type disk struct {
	bytes.Buffer
	full, stuck bool
}

var errFull = errors.New("no space left")

func (d *disk) Write(line []byte) (int, error) {
	if !d.full {
		return d.Buffer.Write(line)
	}
	n, _ := d.Buffer.Write(line[:len(line)/2])
	return n, errFull
}

func (d *disk) Truncate(size int64) error {
	if d.stuck {
		return errFull
	}
	d.Buffer.Truncate(int(size))
	return nil
}

func (d *disk) Close() error { return nil }

func TestHalfALineIsTakenBack(t *testing.T) {
	t.Parallel()
	const line = `{"told":{"sid":"SM1","item":0}}` + "\n"
	rec := record{Told: &leaving{SID: "SM1"}}
	d := &disk{}
	j := &journal{file: d}
	require.NoError(t, j.write(rec))

	d.full = true
	err := j.write(rec)
	require.ErrorIs(t, err, errJournal)
	require.ErrorIs(t, err, errFull)
	require.Equal(t, line, d.String())

	d.full = false
	require.NoError(t, j.write(rec))
	require.Equal(t, line+line, d.String())

	d.full, d.stuck = true, true
	require.ErrorIs(t, j.write(rec), errFull)
	d.full = false
	require.ErrorIs(t, j.write(rec), errJournal, "nothing follows half a line")
	require.ErrorIs(t, j.clear(), errJournal)

	d.stuck = false
	require.NoError(t, j.clear())
	require.NoError(t, j.write(rec), "there is no half line any more")
	d.full = true
	require.Error(t, j.write(rec))
	require.Equal(t, line, d.String())
}
