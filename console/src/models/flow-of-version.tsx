import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { flowGraphQuery } from '../api/queries.ts';
import type { ModelVersion } from '../api/shapes.ts';
import { Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';

/** Loaded with the first ensemble that is looked at: most models are none. */
const FlowDrawing = lazy(async () => ({ default: (await import('../runs/flow-chart.tsx')).FlowDrawing }));

/** The flow that an ensemble is, as it was when the version was registered; nothing for other models. */
export function FlowOfVersion({ version: { runtime, version, endpoint } }: { version: ModelVersion }) {
  if (runtime !== 'workflow' || !endpoint?.flow || !endpoint.version) return null;
  return <Flow version={version} flow={endpoint.flow} of={endpoint.version} />;
}

function Flow({ version, flow, of }: { version: number; flow: string; of: number }) {
  const graph = useQuery(flowGraphQuery(flow, of));
  return (
    <Panel title={`Flow of v${version}: ${flow}, version ${of}`} padded={false}>
      <Answer query={graph}>
        {(shown) => (
          <Suspense>
            <FlowDrawing graph={shown} />
          </Suspense>
        )}
      </Answer>
    </Panel>
  );
}
