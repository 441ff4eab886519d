//! The demo's whole story, with the same steps in the same order, on the manual clock with the fake engine.

use tests::mesh::Mesh;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_the_story_comes_out_as_it_must() {
    let mesh = Mesh::start().await;
    let story = mesh.story();
    let told = wlp::story::tell(&story).await;
    let unexpected: Vec<_> = story.outcomes().into_iter().filter(|outcome| !outcome.expected).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    told.expect("the story ends");
    assert!(story.outcomes().len() > 40, "{:#?}", story.outcomes());
}
