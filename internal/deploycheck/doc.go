// Package deploycheck validates the files under deploy with the parsers of the
// tools that read them: Prometheus, Helm, Compose, Kubernetes and systemd.
//
// It is a module of its own, so that none of them is a dependency of Sluice.
package deploycheck
