package deploycheck

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/stretchr/testify/require"
)

// unitInstance is an instance that the head of the template unit names.
var unitInstance = regexp.MustCompile(`sluice@([a-z]+)\b`)

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func TestUnits(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(deploy + "systemd/*.service")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		options, err := unit.DeserializeOptions(bytes.NewReader(read(t, file)))
		require.NoError(t, err)
		values := map[string][]string{}
		for _, o := range options {
			require.Contains(t, []string{"Unit", "Service", "Install"}, o.Section)
			values[o.Name] = append(values[o.Name], o.Value)
		}
		started := strings.Fields(values["ExecStart"][0])
		require.Equal(t, "/usr/local/bin/sluice", started[0])
		if started[1] == "%i" {
			instances := unitInstance.FindAllStringSubmatch(string(read(t, file)), -1)
			require.Len(t, instances, 4)
			for _, instance := range instances {
				requireCommand(t, instance[1])
			}
		} else {
			requireCommand(t, started[1:]...)
		}
		for _, pair := range values["Environment"] {
			name, _, _ := strings.Cut(pair, "=")
			requireSettings(t, []string{name})
		}
		require.Equal(t, []string{"always"}, values["Restart"])
		require.Equal(t, []string{"45"}, values["TimeoutStopSec"], "longer than the drain")
		for _, hardened := range []string{"DynamicUser", "NoNewPrivileges", "PrivateDevices", "ProtectKernelModules", "MemoryDenyWriteExecute"} {
			require.Equal(t, []string{"yes"}, values[hardened], hardened)
		}
		require.Equal(t, []string{"strict"}, values["ProtectSystem"])
	}
}

// TestUnitsAsSystemdReadsThem where it is installed.
func TestUnitsAsSystemdReadsThem(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze on PATH: the syntax alone was checked")
		return
	}
	for _, name := range []string{"sluice.service", "sluice@dispatcher.service"} {
		dir := t.TempDir()
		text := read(t, deploy+"systemd/"+strings.Replace(name, "@dispatcher", "@", 1))
		// The binary is not installed here.
		require.NoError(t, writeFile(filepath.Join(dir, name), bytes.ReplaceAll(text, []byte("/usr/local/bin/sluice"), []byte("/bin/true"))))
		out, err := exec.Command(analyze, "verify", "--recursive-errors=no", filepath.Join(dir, name)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), name+":", "%s", out)
	}
}
