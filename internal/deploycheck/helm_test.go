package deploycheck

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// What KEDA asks for, and the number that it looks at.
const (
	backlogPath  = "/v1/backlog"
	backlogValue = "ready"
)

// scaledObject is what we use of KEDA's; its own module would bring in every
// scaler's client.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef struct {
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		MinReplicaCount int `json:"minReplicaCount"`
		MaxReplicaCount int `json:"maxReplicaCount"`
		CooldownPeriod  int `json:"cooldownPeriod"`
		Triggers        []struct {
			Type              string            `json:"type"`
			Metadata          map[string]string `json:"metadata"`
			AuthenticationRef struct {
				Name string `json:"name"`
			} `json:"authenticationRef"`
		} `json:"triggers"`
	} `json:"spec"`
}

type triggerAuthentication struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SecretTargetRef []struct {
			Parameter string `json:"parameter"`
			Name      string `json:"name"`
			Key       string `json:"key"`
		} `json:"secretTargetRef"`
	} `json:"spec"`
}

// manifests are the objects of a text, by kind and name, each decoded strictly
// into its own type.
func manifests(t *testing.T, text string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for docs := utilyaml.NewYAMLReader(newReader(text)); ; {
		doc, err := docs.Read()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal(doc, &head), "%s", doc)
		if head.Kind == "" {
			continue
		}
		object := map[string]any{
			"Deployment": &apps.Deployment{}, "Service": &core.Service{}, "Secret": &core.Secret{}, "Ingress": &networking.Ingress{},
			"PodDisruptionBudget": &policy.PodDisruptionBudget{},
			"ScaledObject":        &scaledObject{}, "TriggerAuthentication": &triggerAuthentication{},
		}[head.Kind]
		require.NotNil(t, object, "kind %s", head.Kind)
		require.NoError(t, yaml.UnmarshalStrict(doc, object), "%s", doc)
		key := head.Kind + " " + head.Metadata.Name
		require.Nil(t, found[key], "%s is there twice", key)
		found[key] = object
	}
}

func render(t *testing.T, values map[string]any) (map[string]any, error) {
	t.Helper()
	chart, err := loader.LoadDir(deploy + "helm/sluice")
	require.NoError(t, err)
	require.NoError(t, chart.Validate())
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "s", Namespace: "shop"}, chartutil.DefaultCapabilities)
	require.NoError(t, err)
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for name, content := range files {
		if strings.HasSuffix(name, ".yaml") {
			text.WriteString("---\n" + content + "\n")
		}
	}
	return manifests(t, text.String()), nil
}

func TestChart(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]map[string]any{
		"as it is": {},
		"with everything": {
			"keda": map[string]any{"enabled": true}, "nats": map[string]any{"credsSecret": "nats"},
			"redis": map[string]any{"urlSecret": "redis"}, "provider": map[string]any{"secret": "twilio", "messagesURL": "http://sandbox:8082"},
			"settings": map[string]any{"SLUICE_WINDOW_MARGIN": "90s"}, "imagePullSecrets": []any{map[string]any{"name": "hub"}},
			"ingress": map[string]any{"className": "nginx", "annotations": map[string]any{"a": "b"}},
		},
	} {
		objects, err := render(t, values)
		require.NoError(t, err, name)
		for _, role := range []string{"dispatcher", "callbacks", "api", "tracker"} {
			d, ok := objects["Deployment s-"+role].(*apps.Deployment)
			require.True(t, ok, role)
			requireHardened(t, d, role)
			pdb, ok := objects["PodDisruptionBudget s-"+role].(*policy.PodDisruptionBudget)
			require.True(t, ok, role)
			require.Equal(t, d.Spec.Selector, pdb.Spec.Selector)
		}
		requireOnlyCallbacksPublic(t, objects)
		if name == "with everything" {
			requireScaled(t, objects["ScaledObject s-dispatcher"], objects["TriggerAuthentication s-backlog"])
			require.Nil(t, objects["Deployment s-dispatcher"].(*apps.Deployment).Spec.Replicas, "KEDA sets them")
		}
	}
	_, err := render(t, map[string]any{"graceSeconds": 30})
	require.ErrorContains(t, err, "graceSeconds")
}

func requireHardened(t *testing.T, d *apps.Deployment, role string) {
	t.Helper()
	pod := d.Spec.Template.Spec
	require.Equal(t, d.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.False(t, *pod.AutomountServiceAccountToken)
	require.Greater(t, *pod.TerminationGracePeriodSeconds, int64(25), "longer than the drain")
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	require.Equal(t, []string{role}, c.Args)
	requireCommand(t, c.Args...)
	require.Equal(t, livePath, c.LivenessProbe.HTTPGet.Path)
	require.Equal(t, readyPath, c.ReadinessProbe.HTTPGet.Path)
	requirePorts(t, c)
	require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
	require.Contains(t, c.SecurityContext.Capabilities.Drop, core.Capability("ALL"))
	require.False(t, c.Resources.Requests.Cpu().IsZero())
	require.False(t, c.Resources.Limits.Memory().IsZero())
	var names []string
	for _, e := range c.Env {
		names = append(names, e.Name)
		secret := slices.Contains([]string{"TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET", "SLUICE_API_KEYS"}, e.Name)
		require.True(t, !secret || e.ValueFrom != nil, "%s must come from a Secret", e.Name)
	}
	requireSettings(t, names)
	require.Equal(t, role == "api", slices.Contains(names, "SLUICE_API_KEYS"))
}

// requirePorts: the container's ports are those that its settings listen on, and
// the probes ask the admin port.
func requirePorts(t *testing.T, c core.Container) {
	t.Helper()
	listens := map[string]string{}
	for _, e := range c.Env {
		if address, ok := strings.CutSuffix(e.Name, "_ADDR"); ok {
			host, port, err := net.SplitHostPort(e.Value)
			require.NoError(t, err, e.Name)
			require.Equal(t, "0.0.0.0", host, e.Name)
			listens[strings.ToLower(strings.TrimPrefix(address, "SLUICE_"))] = port
		}
	}
	for _, port := range c.Ports {
		of := map[string]string{"admin": "admin", "http": c.Args[0]}[port.Name]
		require.Equal(t, listens[of], fmt.Sprint(port.ContainerPort), "port %s of %s", port.Name, c.Name)
	}
	require.Equal(t, "admin", c.LivenessProbe.HTTPGet.Port.String())
	require.Equal(t, "admin", c.ReadinessProbe.HTTPGet.Port.String())
}

// TestChartRuns starts every role with the environment that the chart gives it.
func TestChartRuns(t *testing.T) {
	t.Parallel()
	objects, err := render(t, map[string]any{
		"provider": map[string]any{"messagesURL": "http://sandbox:8082"}, "settings": map[string]any{"SLUICE_WINDOW_MARGIN": "90s"},
	})
	require.NoError(t, err)
	engines, ok := startEngines(t, []string{"redis-server", "--save", "", "--appendonly", "no"})
	if !ok {
		return
	}
	for _, role := range []string{"tracker", "dispatcher", "callbacks", "api"} { // the tracker opens the gate
		c := objects["Deployment s-"+role].(*apps.Deployment).Spec.Template.Spec.Containers[0]
		environment := map[string]string{}
		for _, e := range c.Env {
			environment[e.Name] = e.Value
			if e.ValueFrom != nil {
				environment[e.Name] = "from-a-secret"
			}
		}
		told, _ := startRole(t, engines.here(t, environment), c.Args...)
		if role == "api" {
			requireBacklog(t, told.API, "from-a-secret")
		}
	}
}

func requireOnlyCallbacksPublic(t *testing.T, objects map[string]any) {
	t.Helper()
	for key, object := range objects {
		switch o := object.(type) {
		case *core.Service:
			require.Equal(t, core.ServiceTypeClusterIP, o.Spec.Type, key)
		case *networking.Ingress:
			for _, rule := range o.Spec.Rules {
				for _, path := range rule.HTTP.Paths {
					require.Equal(t, "s-callbacks", path.Backend.Service.Name)
					require.Equal(t, "/twilio/", path.Path)
				}
			}
		}
	}
	require.NotNil(t, objects["Ingress s-callbacks"])
	require.NotNil(t, objects["Service s-callbacks"])
}

func requireScaled(t *testing.T, scaled, auth any) {
	t.Helper()
	s, ok := scaled.(*scaledObject)
	require.True(t, ok)
	a, ok := auth.(*triggerAuthentication)
	require.True(t, ok)
	require.Len(t, s.Spec.Triggers, 1)
	trigger := s.Spec.Triggers[0]
	require.Equal(t, "metrics-api", trigger.Type)
	require.True(t, strings.HasSuffix(trigger.Metadata["url"], ":8080"+backlogPath), trigger.Metadata["url"])
	require.Equal(t, backlogValue, trigger.Metadata["valueLocation"])
	require.Equal(t, "bearer", trigger.Metadata["authMode"])
	require.Equal(t, a.Name, trigger.AuthenticationRef.Name)
	require.Equal(t, "token", a.Spec.SecretTargetRef[0].Parameter)
	require.Positive(t, s.Spec.MinReplicaCount)
	require.Greater(t, s.Spec.MaxReplicaCount, s.Spec.MinReplicaCount)
}

func TestScaledObject(t *testing.T) {
	t.Parallel()
	objects := manifests(t, string(read(t, deploy+"keda/scaledobject.yaml")))
	requireScaled(t, objects["ScaledObject sluice-dispatcher"], objects["TriggerAuthentication sluice-backlog"])
	require.NotNil(t, objects["Secret sluice-keda"])
}
