package deploycheck

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDockerfile holds what the image is to be: a static binary on nothing, and
// no root. Docker itself is not needed.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := strings.Split(string(read(t, deploy+"Dockerfile")), "\nFROM ")
	require.Len(t, stages, 3)
	require.True(t, strings.HasPrefix(stages[1], "golang:"))
	require.Contains(t, stages[1], "CGO_ENABLED=0")
	require.True(t, strings.HasPrefix(stages[2], "scratch\n"))
	require.Regexp(t, `(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`, stages[2])
	require.Contains(t, stages[2], `ENTRYPOINT ["/usr/local/bin/sluice"]`)
	require.NotContains(t, stages[2], "RUN ", "there is no shell")
	require.NotContains(t, stages[2], "SECRET")
}
