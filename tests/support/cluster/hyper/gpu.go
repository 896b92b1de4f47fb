package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const retryEvery = 500 * time.Millisecond

// gpuPlugin offers devices that do not exist in the way that NVIDIA's k8s-device-plugin offers real ones.
type gpuPlugin struct {
	api.UnimplementedDevicePluginServer
	count    int
	resource string
	folder   string
	stopped  chan struct{}
}

func (p *gpuPlugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *gpuPlugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	devices := make([]*api.Device, p.count)
	for i := range devices {
		devices[i] = &api.Device{ID: fmt.Sprintf("GPU-00000000-0000-0000-0000-%012d", i), Health: api.Healthy}
	}
	if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	select {
	case <-p.stopped:
	case <-stream.Context().Done():
	}
	return nil
}

func (p *gpuPlugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		env := map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")}
		answer.ContainerResponses = append(answer.ContainerResponses, &api.ContainerAllocateResponse{Envs: env})
	}
	return answer, nil
}

func (p *gpuPlugin) socket() string {
	return filepath.Join(p.folder, "fake-"+strings.ReplaceAll(p.resource, "/", "-")+".sock")
}

func (p *gpuPlugin) register() error {
	target := "unix:" + filepath.Join(p.folder, "kubelet.sock")
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(p.socket()), ResourceName: p.resource,
		Options: &api.DevicePluginOptions{},
	})
	return err
}

// serve lasts as long as one life of the kubelet, which clears the folder when it starts.
func (p *gpuPlugin) serve(ended <-chan os.Signal) (again bool, err error) {
	_ = os.Remove(p.socket())
	listener, err := net.Listen("unix", p.socket())
	if err != nil {
		return false, err
	}
	p.stopped = make(chan struct{})
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	defer close(p.stopped)
	for registered := false; ; {
		if !registered {
			registered = p.register() == nil
		}
		select {
		case <-ended:
			return false, nil
		case <-time.After(retryEvery):
		}
		if _, err := os.Stat(p.socket()); err != nil {
			return true, nil
		}
	}
}

func runGPUPlugin() {
	plugin := &gpuPlugin{}
	flag.IntVar(&plugin.count, "count", 1, "how many devices")
	flag.StringVar(&plugin.resource, "resource", "nvidia.com/gpu", "their resource name")
	flag.StringVar(&plugin.folder, "folder", "/var/lib/kubelet/device-plugins", "the kubelet's folder of plugins")
	flag.Parse()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	for again, err := true, error(nil); again; {
		if again, err = plugin.serve(ended); err != nil {
			fmt.Fprintln(os.Stderr, "fake-gpu-plugin:", err)
			os.Exit(1)
		}
	}
}
