package runner

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// programInRoot is where the program lies for the Pod.
const programInRoot = "/program"

func (p *pod) root() string { return filepath.Join(p.dir, "root") }

// layOut makes the folder that the program sees as its root: itself, its libraries, and the volumes.
func (p *pod) layOut(program string, container core.Container) error {
	for _, folder := range []string{"proc", "dev", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(p.root(), folder), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(p.root(), "tmp"), 0o1777); err != nil {
		return err
	}
	if err := bring(program, filepath.Join(p.root(), programInRoot)); err != nil {
		return err
	}
	libraries, err := librariesOf(program)
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := bring(library, filepath.Join(p.root(), library)); err != nil {
			return err
		}
	}
	for _, mount := range container.VolumeMounts {
		for _, volume := range p.object.Spec.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			files, err := p.files(volume.VolumeSource)
			if err != nil {
				return fmt.Errorf("volume %s: %w", volume.Name, err)
			}
			if err := writeAll(filepath.Join(p.root(), mount.MountPath), files); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring links a file, or copies it where links don't reach.
func bring(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	_ = os.Remove(to)
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if os.Link(real, to) == nil {
		return nil
	}
	source, err := os.Open(real)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer target.Close()
	_, err = io.Copy(target, source)
	return err
}

var libraryLine = regexp.MustCompile(`(?m)(?:=> |^\s+)(/\S+) \(0x`)

// librariesOf lists what the loader would load; nothing for a static program.
func librariesOf(program string) ([]string, error) {
	answer, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil {
		return nil, nil // "not a dynamic executable"
	}
	var libraries []string
	for _, found := range libraryLine.FindAllStringSubmatch(string(answer), -1) {
		libraries = append(libraries, found[1])
	}
	return libraries, nil
}

// files are the contents of a volume, by name.
func (p *pod) files(source core.VolumeSource) (map[string][]byte, error) {
	switch {
	case source.EmptyDir != nil:
		return map[string][]byte{}, nil
	case source.Secret != nil:
		return p.secret(source.Secret.SecretName, source.Secret.Items)
	case source.ConfigMap != nil:
		return p.configMap(source.ConfigMap.Name, source.ConfigMap.Items)
	case source.Projected != nil:
		all := map[string][]byte{}
		for _, part := range source.Projected.Sources {
			files, err := p.projected(part)
			if err != nil {
				return nil, err
			}
			for name, content := range files {
				all[name] = content
			}
		}
		return all, nil
	}
	return nil, fmt.Errorf("this kind of volume is not supported")
}

func (p *pod) projected(source core.VolumeProjection) (map[string][]byte, error) {
	switch {
	case source.Secret != nil:
		return p.secret(source.Secret.Name, source.Secret.Items)
	case source.ConfigMap != nil:
		return p.configMap(source.ConfigMap.Name, source.ConfigMap.Items)
	case source.ServiceAccountToken != nil:
		return p.token(source.ServiceAccountToken)
	case source.DownwardAPI != nil:
		files := map[string][]byte{}
		for _, item := range source.DownwardAPI.Items {
			if item.FieldRef == nil {
				return nil, fmt.Errorf("%s: only fieldRef is supported", item.Path)
			}
			value, known := p.field(item.FieldRef.FieldPath)
			if !known {
				return nil, fmt.Errorf("%s: field %s is not supported", item.Path, item.FieldRef.FieldPath)
			}
			files[item.Path] = []byte(value)
		}
		return files, nil
	}
	return nil, fmt.Errorf("this kind of projection is not supported")
}

// token asks for a token that is bound to the Pod, as a kubelet does.
func (p *pod) token(wanted *core.ServiceAccountTokenProjection) (map[string][]byte, error) {
	// Longer than any bed lives: tokens are not renewed here.
	seconds := int64(7 * 24 * 3600)
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef: &authentication.BoundObjectReference{
			Kind: "Pod", APIVersion: "v1", Name: p.object.Name, UID: p.object.UID,
		},
	}}
	if wanted.Audience != "" {
		request.Spec.Audiences = []string{wanted.Audience}
	}
	made, err := p.runner.client.CoreV1().ServiceAccounts(p.object.Namespace).CreateToken(
		context.Background(), p.object.Spec.ServiceAccountName, request, meta.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{wanted.Path: []byte(made.Status.Token)}, nil
}

func (p *pod) secret(name string, items []core.KeyToPath) (map[string][]byte, error) {
	secret, err := p.runner.client.CoreV1().Secrets(p.object.Namespace).Get(context.Background(), name, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	return chosen(secret.Data, items)
}

func (p *pod) configMap(name string, items []core.KeyToPath) (map[string][]byte, error) {
	found, err := p.runner.client.CoreV1().ConfigMaps(p.object.Namespace).Get(context.Background(), name, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for key, value := range found.Data {
		data[key] = []byte(value)
	}
	for key, value := range found.BinaryData {
		data[key] = value
	}
	return chosen(data, items)
}

// chosen takes the items, or everything if there are none.
func chosen(data map[string][]byte, items []core.KeyToPath) (map[string][]byte, error) {
	if len(items) == 0 {
		return data, nil
	}
	files := map[string][]byte{}
	for _, item := range items {
		content, found := data[item.Key]
		if !found {
			return nil, fmt.Errorf("no key %q", item.Key)
		}
		files[item.Path] = content
	}
	return files, nil
}

func writeAll(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// A program that is not root writes to its emptyDir, too.
	if err := os.Chmod(folder, 0o777); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
