package deploycheck

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
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
		requireCommand(t, service.Command...)
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
	t.Run("runs", func(t *testing.T) { rehearse(t, project) })

	options, err = cli.NewProjectOptions([]string{deploy + "compose.yaml"})
	require.NoError(t, err)
	_, err = options.LoadProject(t.Context())
	require.ErrorContains(t, err, "SLUICE_API_KEYS", "an API beyond loopback needs keys")
}

// rehearse runs what compose.yaml would, as processes of this machine: NATS and
// Redis as configured, every role with its command and environment, and a job
// through all of them.
func rehearse(t *testing.T, project *types.Project) {
	t.Helper()
	engines, ok := startEngines(t, project.Services["redis"].Command)
	if !ok {
		return
	}
	requireHealthcheck(t, project.Services["nats"], "http://127.0.0.1:8222", "http://"+engines.monitor)
	of := func(name string, more ...string) (told ready, cmd *exec.Cmd) {
		service := project.Services[name]
		environment := map[string]string{}
		for name, value := range service.Environment {
			environment[name] = *value
		}
		return startRole(t, engines.here(t, environment, more...), service.Command...)
	}
	sandbox, _ := of("sandbox")
	called := freeAddr(t)
	with := []string{"SLUICE_MESSAGES_URL=" + sandbox.Sandbox, "SLUICE_CALLBACKS_ADDR=" + called, "SLUICE_PUBLIC_URL=http://" + called}
	of("callbacks", with...)
	tracker, _ := of("tracker", with...)
	_, dispatcher := of("dispatcher", with...)
	api, _ := of("api", with...)

	status, _ := get(t, api.API+"/v1/backlog", "")
	require.Equal(t, http.StatusUnauthorized, status, "the key is asked for")
	requireBacklog(t, api.API, "x")
	requireSent(t, api.API, "x")
	status, body := get(t, tracker.Admin+metricsPath, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), "sluice_gate_open 1")
	requireDrained(t, dispatcher)
}

// requireHealthcheck asks what a service's health check does.
func requireHealthcheck(t *testing.T, service types.ServiceConfig, there, here string) {
	t.Helper()
	url := service.HealthCheck.Test[len(service.HealthCheck.Test)-1]
	require.True(t, strings.HasPrefix(url, there), url)
	status, _ := get(t, strings.Replace(url, there, here, 1), "")
	require.Equal(t, http.StatusOK, status, url)
}

// requireBacklog asks what KEDA would and looks where it would.
func requireBacklog(t *testing.T, api, key string) {
	t.Helper()
	status, body := get(t, api+backlogPath, key)
	require.Equal(t, http.StatusOK, status, "%s", body)
	var told map[string]any
	require.NoError(t, json.Unmarshal(body, &told))
	require.IsType(t, 0.0, told[backlogValue], "%s", body)
}

// requireSent hands a job in and waits until its customer has it.
func requireSent(t *testing.T, api, key string) {
	t.Helper()
	job := `{"id":"order-17","from":"whatsapp:+15550001111","to":"whatsapp:+15552223333","content_sid":"HX00000000000000000000000000000001"}`
	req, err := http.NewRequest(http.MethodPost, api+"/v1/jobs", strings.NewReader(job))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	eventually(t, "the job is not delivered", func() bool {
		_, body := get(t, api+"/v1/jobs/order-17", key)
		var told struct{ Status string }
		return json.Unmarshal(body, &told) == nil && slices.Contains([]string{"delivered", "read"}, told.Status)
	})
}
