#include "mirror/remote_side.h"

#include "base/text.h"

namespace lt::mirror {

Result<int> RemoteSide::carry(const RemoteRequest& request, const SideStreams& streams) {
  LT_TRY(const auto report, run_remote(options_, request, {streams.in, streams.out, streams.err}, stop_));
  return report.exit_status;
}

Result<int> RemoteSide::run(const Argv& argv, const SideStreams& streams) {
  RemoteRequest request = RemoteRequest::command(quoted_text(argv));
  request.is_stream = argv.size() > 1 && argv[0] == "zfs" && (argv[1] == "send" || argv[1] == "receive");
  return carry(request, streams);
}

Result<int> RemoteSide::serve_tree(const std::string& snapshot, const SideStreams& streams) {
  return carry(RemoteRequest::typed(tree_request, snapshot), streams);
}

RequestHandler tree_handler(AllowRules rules, Argv program) {
  return [rules = std::move(rules), program = std::move(program)](std::string_view argument) -> Result<Pipeline> {
    const auto at = argument.find('@');
    const std::string_view dataset = argument.substr(0, at);
    const bool is_snapshot = at != argument.npos && at + 1 < argument.size() && configs::is_dataset_name(dataset) &&
                             argument.find_first_of("@/", at + 1) == argument.npos && printable(argument, argument.size()) == argument;
    if (!is_snapshot || !may_read(rules, dataset)) return fail(Errc::rejected, "\"" + printable(argument, 120) + "\" is not a snapshot that this site's config lets the other one read");
    Argv argv = program;
    argv.emplace_back(argument);
    return Pipeline{PipelineStage{.argv = std::move(argv)}};
  };
}

}  // namespace lt::mirror
