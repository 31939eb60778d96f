package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// lateNews is how long load balancers and kube-proxy may take to hear that a replica is leaving.
const lateNews = 5 * time.Second

// rollingRestart replaces all replicas of Narthex one after the other.
func rollingRestart(b *bench) ([]string, error) {
	b.load.replicas.hearLate(lateNews)
	defer b.load.replicas.hearLate(0)
	end := b.touch()
	took, err := b.restart()
	if err != nil {
		return nil, err
	}
	time.Sleep(20 * time.Second)
	return []string{note("restart", "%d replicas in %.1f s; the load balancer hears of each %.0f s late",
		narthexReplicas, took.Seconds(), lateNews.Seconds())}, end()
}

// restart does what `kubectl rollout restart` and `rollout status` do, and waits until the old replicas are gone.
func (b *bench) restart() (time.Duration, error) {
	ctx, began := context.Background(), time.Now()
	deployments := b.core.AppsV1().Deployments(ours)
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{"kubectl.kubernetes.io/restartedAt": began.Format(time.RFC3339)},
	}}}})
	if err != nil {
		return 0, err
	}
	if _, err = deployments.Patch(ctx, "narthex", types.StrategicMergePatchType, body, meta.PatchOptions{}); err != nil {
		return 0, err
	}
	err = within(5*time.Minute, func() error {
		now, err := deployments.Get(ctx, "narthex", meta.GetOptions{})
		if err != nil {
			return err
		}
		status := now.Status
		if status.ObservedGeneration < now.Generation || status.UpdatedReplicas < narthexReplicas ||
			status.Replicas > narthexReplicas || status.AvailableReplicas < narthexReplicas {
			return fmt.Errorf("the rollout is not over: %d of %d replicas are new, %d available",
				status.UpdatedReplicas, status.Replicas, status.AvailableReplicas)
		}
		pods, err := b.core.CoreV1().Pods(ours).List(ctx, meta.ListOptions{})
		if err == nil && len(pods.Items) != narthexReplicas {
			err = fmt.Errorf("%d Pods are there", len(pods.Items))
		}
		return err
	})
	return time.Since(began), err
}
