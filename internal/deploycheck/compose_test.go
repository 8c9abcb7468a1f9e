package deploycheck

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/stretchr/testify/require"
)

func TestCompose(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{deploy + "compose.yaml"}, cli.WithEnv([]string{"SLUICE_API_KEYS=x"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)

	roles := 0
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == "bind" {
				_, err := os.Stat(volume.Source)
				require.NoError(t, err)
			}
		}
		if service.Image != "sluice" {
			require.NotContains(t, service.Image, "latest", name)
			require.Contains(t, service.Image, ":", name)
			continue
		}
		roles++
		require.Contains(t, commands, service.Command[0], name)
		require.True(t, service.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		require.NotNil(t, service.StopGracePeriod, name)
		require.Greater(t, time.Duration(*service.StopGracePeriod), 25*time.Second, "%s must have time to drain", name)
		requireSettings(t, slices.Collect(maps.Keys(service.Environment)))
		for _, port := range service.Ports {
			require.True(t, name == "callbacks" || port.HostIP == "127.0.0.1", "%s is open to others", name)
		}
	}
	require.Equal(t, 5, roles)
	require.Contains(t, project.Services["redis"].Command, "noeviction")
	require.Contains(t, project.Services["redis"].Command, "--appendonly")
	require.Contains(t, string(read(t, deploy+"nats/nats.conf")), "sync_interval: always")

	options, err = cli.NewProjectOptions([]string{deploy + "compose.yaml"})
	require.NoError(t, err)
	_, err = options.LoadProject(t.Context())
	require.ErrorContains(t, err, "SLUICE_API_KEYS", "an API beyond loopback needs keys")
}
