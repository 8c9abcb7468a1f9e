package embedded_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/embedded"
)

func TestLockDirLetsOneIn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := embedded.LockDir(dir)
	require.NoError(t, err)

	_, err = embedded.LockDir(dir)
	require.ErrorContains(t, err, dir+" is in use by another process")

	unlock()
	again, err := embedded.LockDir(dir)
	require.NoError(t, err)
	again()
}
