package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The messages and services of the interop tests, for whoever has no generated code.
func (stage *stage) descriptors() (string, error) {
	file := filepath.Join(stage.folder, "descriptors")
	var set descriptorpb.FileDescriptorSet
	test := testgrpc.File_grpc_testing_test_proto
	for at := range test.Imports().Len() {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(test.Imports().Get(at).FileDescriptor))
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(test))
	bytes, err := proto.Marshal(&set)
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, bytes, 0o600)
}

// The server.
func (stage *stage) startPython(port int) error {
	descriptors, err := stage.descriptors()
	if err != nil {
		return err
	}
	server := exec.Command(*python, *peer, "serve", descriptors, fmt.Sprint(port))
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	stage.closers = append(stage.closers, func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return listening(port)
}

// What its client finds.
func pythonChecks(stage *stage) []check {
	if *python == "" {
		return nil
	}
	var all []check
	for _, authority := range []string{"go.test", "python.test"} {
		backend := map[string]string{"go.test": "Go", "python.test": "Python"}[authority]
		for _, where := range []targetOf{stage.plain, stage.tls} {
			group := "Python to " + backend + ", " + where.kind()
			for _, name := range caseNames {
				to := where.with(authority)
				all = append(all, check{group, name, func() (string, error) {
					file := filepath.Join(stage.folder, "descriptors")
					command := exec.Command(*python, *peer, "ask", file, to.address, to.authority, to.trust, name)
					if output, err := command.CombinedOutput(); err != nil {
						lines := strings.Split(strings.TrimSpace(string(output)), "\n")
						return "", fmt.Errorf("%w: %s", err, lines[len(lines)-1])
					}
					return "", nil
				}})
			}
		}
	}
	return all
}
