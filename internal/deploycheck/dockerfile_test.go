package deploycheck

import (
	"debug/elf"
	"net"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
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

// TestBinaryOfTheImage needs nothing beside itself, and knows its version.
func TestBinaryOfTheImage(t *testing.T) {
	t.Parallel()
	version := exec.Command(binary, "version")
	version.Env = []string{}
	out, err := version.Output()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(out), "sluice "+checkedVersion+" "), "%s", out)
	if runtime.GOOS != "linux" {
		return
	}
	file, err := elf.Open(binary)
	require.NoError(t, err)
	defer file.Close()
	for _, part := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, part.Type, "it asks for a loader that the image lacks")
	}
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
}

// TestPortsOfTheImage are those that the binary listens on by itself, without
// the sandbox's.
func TestPortsOfTheImage(t *testing.T) {
	t.Parallel()
	text, known := string(read(t, deploy+"Dockerfile")), settings(t)
	var want []string
	for _, name := range []string{"SLUICE_API_ADDR", "SLUICE_CALLBACKS_ADDR", "SLUICE_ADMIN_ADDR"} {
		_, port, err := net.SplitHostPort(known[name].Default)
		require.NoError(t, err)
		want = append(want, port)
	}
	require.Contains(t, text, "\nEXPOSE "+strings.Join(want, " ")+"\n")
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^ENV ([A-Z_]+)=`).FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	require.True(t, slices.Contains(names, "SLUICE_DATA"))
	requireSettings(t, names)
}
