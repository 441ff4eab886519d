//! One request id, one answer; one etag, one change.

use contracts::registry::v1::*;
use tests::line::Line;
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

async fn size(line: &Line) -> u64 {
    let head = line.by("auditor").audit().get_tree_head(GetTreeHeadRequest { size: 0 }).await;
    head.map_or(0, |head| head.into_inner().size)
}

fn create(line: &Line, request_id: &str) -> CreateProjectRequest {
    CreateProjectRequest {
        project_id: line.id.clone(),
        project: Some(line.planned()),
        request_id: request_id.into(),
    }
}

#[tokio::test]
async fn a_repeated_request_gives_the_same_answer_and_is_recorded_once() {
    let mesh = Alone::start().await;
    let line = mesh.line("repeated");
    let id = uuid::Uuid::new_v4().to_string();
    let mut projects = line.by("ml-lead").projects();
    let first = projects.create_project(create(&line, &id)).await.told();
    let recorded = size(&line).await;
    mesh.clock.advance(std::time::Duration::from_secs(60));
    let again = projects.create_project(create(&line, &id)).await.told();
    assert_eq!(first, again);
    assert_eq!(size(&line).await, recorded, "recorded once");
    let other = CreateProjectRequest { project_id: "other".into(), ..create(&line, &id) };
    projects.create_project(other).await.refused(Code::AlreadyExists, "REQUEST_ID_REUSED");
    // Another caller's request id is another one.
    let theirs = CreateProjectRequest { project_id: "theirs".into(), ..create(&line, &id) };
    line.by("ml-engineer").projects().create_project(theirs).await.told();
    projects.create_project(create(&line, "")).await.refused(Code::AlreadyExists, "RESOURCE_EXISTS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_same_request_at_once_one_is_carried_out() {
    let mesh = Alone::start().await;
    let line = mesh.line("at-once");
    let before = size(&line).await;
    let id = uuid::Uuid::new_v4().to_string();
    let attempts = (0..32).map(|_| {
        let (mut projects, request) = (line.by("ml-lead").projects(), create(&line, &id));
        async move { projects.create_project(request).await.told() }
    });
    let answers = futures::future::join_all(attempts).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(size(&line).await, before + 1);
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let mesh = Alone::start().await;
    let line = mesh.line("stale");
    let seen = line.open().await;
    line.decide_selection().await;
    let recorded = size(&line).await;
    let update = |etag: &str| UpdateProjectRequest {
        project: Some(Project {
            name: line.project(),
            display_name: "renamed".into(),
            etag: etag.into(),
            ..line.planned()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
        request_id: String::new(),
    };
    let mut projects = line.by("ml-lead").projects();
    let refusal = projects.update_project(update(&seen.etag)).await.refused(Code::Aborted, "STALE_ETAG");
    assert!(refusal.to_string().contains(&line.project()), "{refusal}");
    assert_eq!(size(&line).await, recorded);
    let now = projects.get_project(GetProjectRequest { name: line.project() }).await.told();
    assert_eq!(projects.update_project(update(&now.etag)).await.told().display_name, "renamed");
}

#[tokio::test]
async fn pages_show_each_resource_once() {
    let mesh = Alone::start().await;
    for at in 0..25 {
        mesh.line(&format!("page-{at}")).open().await;
    }
    let mut projects = mesh.net.by("client").projects();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListProjectsRequest { page_size: 7, page_token: token };
        let page = projects.list_projects(request).await.told();
        assert!(page.projects.len() <= 7);
        seen.extend(page.projects.into_iter().map(|project| project.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (25, 25));
}
